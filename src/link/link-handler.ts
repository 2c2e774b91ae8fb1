/**
 * Receives the messages of a link. `buffer` is the link's read buffer: offsets are valid only during the call, so a handler copies
 * the bytes that it keeps.
 */
export interface LinkHandler {
  /**
   * @param sid number of the subscription
   * @param payloadStart first byte of the payload, behind the headers of an HMSG
   * @param replyStart equal to `replyEnd` if the message has no reply subject
   */
  onMessage(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void;
  /** Called after all complete messages of one read, for work that is done per batch. */
  onBatchEnd(): void;
}

/** Drops all messages of a link that has no other handler at present. */
export const DROP_ALL: LinkHandler = { onMessage() {}, onBatchEnd() {} };

/** Why the link to the NATS server went down, for people. */
export type LinkDownReason = string;
