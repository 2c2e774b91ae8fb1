/** Limits of one channel. 0 is unlimited. */
export interface ChannelLimits {
  maxMessages: number;
  /** Of the encoded messages. */
  maxBytes: number;
  maxAgeMs: number;
  /** Regular ones, durables (online or not) and queue members. */
  maxSubscriptions: number;
  /** Without a new message and without an active subscription, after which the channel is deleted. */
  maxInactivityMs: number;
}
