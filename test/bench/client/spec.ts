/** What one client does in one round. */
export interface ClientSpec {
  library: 'stanchion' | 'node-nats-streaming';
  side: 'publish' | 'receive';
  natsPort: number;
  clusterId: string;
  channel: string;
  messages: number;
  payloadBytes: number;
}

export interface ClientResult {
  messagesPerSecond: number;
  /** CPU time of the process, per message. */
  cpuMicros: number;
}

/** Publishes without an ack at a time, of either library. */
export const CLIENT_WINDOW = 4_000;
/** Messages without an ack of a subscription, of either library. */
export const CLIENT_MAX_IN_FLIGHT = 8_192;
