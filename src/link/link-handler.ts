/**
 * What the link hands over for each message. `buffer` is the link's read buffer: offsets are valid during the call only,
 * whoever wants to keep bytes copies them.
 */
export interface LinkHandler {
  /**
   * @param sid the subscription, as given to `subscribe`
   * @param payloadStart first byte of the payload; of an HMSG, behind its headers
   * @param replyStart `replyStart === replyEnd` if the message has no reply subject
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
  /** All whole messages of one read have been handed over: the moment to start what is done per batch. */
  onBatchEnd(): void;
}

/** Drops everything: for a link whose messages nobody takes at present. */
export const DROP_ALL: LinkHandler = { onMessage() {}, onBatchEnd() {} };

/** Why the link to the NATS server went down, for people. */
export type LinkDownReason = string;
