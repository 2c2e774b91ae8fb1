/** Totals since start. Plain numbers on the hot path; the metrics read them. */
export class Counters {
  messagesIn = 0;
  bytesIn = 0;
  messagesOut = 0;
  bytesOut = 0;
  acks = 0;
  redeliveries = 0;
  refusedPublishes = 0;
  /** Acknowledged again, not stored again. */
  duplicatePublishes = 0;
}
