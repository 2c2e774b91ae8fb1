/*
 * Slots: what one part of the broker notes of a channel or a subscription, in an object of its own. Only that part reads and writes
 * it. It lies here, and not in a map of that part, because it is looked at for each message.
 */

/** The commit gate's, of a channel. */
export class GateSlot {
  /** The batch in which the channel last gained messages. */
  batch = 0;
  /** Where the channel stands in the list of that batch. */
  index = 0;
}

/** The delivery's, of a subscription or a queue group. */
export class DeliverySlot {
  /** A message is being read from disk for it. */
  isLoading = false;
  /** In the list of those to be served at the end of the turn. */
  isReady = false;
  /** New messages wait until what is pending has been delivered again. */
  isOnHold = false;
}

/** That of the measure of first deliveries, of a channel. */
export class WaitSlot {
  /** Sequence up to which messages have been delivered once, or were visible while nothing subscribed. */
  deliveredThrough: number;

  constructor(deliveredThrough: number) {
    this.deliveredThrough = deliveredThrough;
  }
}
