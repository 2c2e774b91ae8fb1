export { type Codec, jsonCodec, type Payload, stringCodec } from './client/codec.js';
export { connect } from './client/connect.js';
export type { PublishOptions, StanConnection } from './client/connection.js';
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
} from './client/errors.js';
export type { Message } from './client/message.js';
export type { NatsConnection, NatsMessage, NatsStatus, NatsSubscription } from './client/nats.js';
export type { ConnectOptions, NatsOptions } from './client/options.js';
export type { OnAck } from './client/pending.js';
export type { StartAt } from './client/start-at.js';
export type { Status } from './client/status.js';
export type { MessageCallback, SubscribeOptions } from './client/subscribe-options.js';
export type { Subscription } from './client/subscription.js';
