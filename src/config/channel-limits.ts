/** Limits of one channel. 0 is unlimited. */
export interface ChannelLimits {
  maxMessages: number;
  /** Limit of the encoded messages. */
  maxBytes: number;
  maxAgeMs: number;
  /** Counts regular subscriptions, durables (online or not) and queue members. */
  maxSubscriptions: number;
  /** The channel is deleted after this time without a new message and without an active subscription. */
  maxInactivityMs: number;
}
