// The client library, `import { connect } from 'stanchion'`.

export {
  AckTimeoutError,
  ClosedError,
  ConnectError,
  ConnectionLostError,
  InvalidOptionError,
  PublishError,
  StanError,
  type StanErrorCode,
  SubscribeError,
} from './client/client-errors.js';
export { type Codec, jsonCodec, type Payload, stringCodec } from './client/codec.js';
export { connect } from './client/connect.js';
export type { ConnectOptions, NatsOptions } from './client/connect-options.js';
export type { Status } from './client/connection-status.js';
export type { Message } from './client/message.js';
export type { NatsConnection, NatsMessage, NatsStatus, NatsSubscription } from './client/nats-connection.js';
export type { OnAck } from './client/pending.js';
export type { PublishOptions } from './client/publish-options.js';
export type { StanConnection } from './client/stan-connection.js';
export type { StartAt } from './client/start-at.js';
export type { MessageCallback, SubscribeOptions } from './client/subscribe-options.js';
export type { Subscription } from './client/subscription.js';
