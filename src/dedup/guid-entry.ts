/*
 * An entry for a guid, as a generation has it, and checkpoints of release 0.1.0:
 *
 *   0  u32  id of the channel that the message is in
 *   4  u32  session of the publisher
 *   8  u8   length of the guid
 *   9       guid
 */
export const GUID_HEADER_BYTES = 9;
/** Average room per guid: a NUID, which all clients use, has 22 bytes. */
export const GUID_ENTRY_BYTES = GUID_HEADER_BYTES + 23;
