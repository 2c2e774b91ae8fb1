// The names of what lies in a store's folder.

export const JOURNAL_DIRECTORY = 'journal';
export const SEGMENT_DIRECTORY = 'segments';
export const CHECKPOINT_DIRECTORY = 'checkpoints';
export const LEASE_DIRECTORY = 'lease';
export const LOCKS_DIRECTORY = 'lease.locks';
/** Files that are set aside while there is room, see store/room/reserve.ts. */
export const RESERVE_DIRECTORY = 'reserve';
export const IDENTITY_FILE = 'stanchion.json';
