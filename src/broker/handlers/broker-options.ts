import type { ChannelLimits } from '../../config/channel-limits.js';

/** How a broker behaves, whatever it runs on. */
export interface BrokerOptions {
  clusterId: string;
  discoverPrefix: string;
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  /** Heartbeats in a row without an answer after which the next failure closes the client. */
  heartbeatFailCount: number;
  /** 0 is unlimited. */
  maxChannels: number;
  limitsFor(channelName: string): ChannelLimits;
  /** Bytes that may wait for the disk; beyond it publishers get an error. */
  maxPendingBytes: number;
  /** A second subscription to a durable in use replaces the first instead of being refused. */
  replaceDurable: boolean;
}
