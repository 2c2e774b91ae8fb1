// The options of `connect`, with their defaults and checks, and the checks that other options share.

import { inspect } from 'node:util';
import type { NodeConnectionOptions as ConnectionOptions } from '@nats-io/transport-node';
import { DEFAULT_DISCOVER_PREFIX, isClientIdValid } from '../protocol/stan-subjects.js';
import { withoutUrlSecrets } from '../util/secrets.js';
import { nearestWord } from '../util/suggest.js';
import { InvalidOptionError } from './client-errors.js';
import { type Codec, jsonCodec } from './codec.js';
import type { NatsConnection } from './nats-connection.js';

/** Options of nats.js that `ConnectOptions` does not rename: authentication, TLS, reconnecting. */
export type NatsOptions = Omit<ConnectionOptions, 'servers' | 'timeout' | 'pingInterval' | 'maxPingOut'>;

/** All times are in milliseconds. */
export interface ConnectOptions extends NatsOptions {
  /** Cluster id of the broker or the group. */
  clusterId: string;
  /** Letters, digits, `-` and `_`. Only one connection at a time can have it. */
  clientId: string;
  /** NATS servers to connect to: `nats://host:4222`. */
  servers?: string | string[];
  /** A connection of `@nats-io/transport-node` or `nats` to use instead. It stays open when this connection is closed. */
  natsConnection?: NatsConnection;
  /** Limit for connecting to NATS, and then for each answer of the broker [2,000]. */
  connectTimeout?: number;
  /** Limit for the ack of a publish, counted from the call [30,000]. */
  ackTimeout?: number;
  /** Subject of connect requests, without the cluster id [_STAN.discover]. */
  discoverPrefix?: string;
  /** How many publishes may be without an ack; more wait, in order [16,384]. */
  maxPubAcksInFlight?: number;
  /** How many bytes of publishes may be without an ack; more wait, in order [64 MiB]. */
  maxPubBytesInFlight?: number;
  /** Bytes of publishes that may wait to be sent; beyond it a publish fails with PUBLISH_QUEUE_FULL [256 MiB]. */
  maxQueuedBytes?: number;
  /** Time between pings of the broker, rounded up to whole seconds [5,000]. */
  pingInterval?: number;
  /** After this many pings without an answer the connection is lost [88, which is after the ack timeout]. */
  pingMaxOut?: number;
  /** Time between pings of the NATS server [2,000]. */
  natsPingInterval?: number;
  /** After this many pings without an answer the NATS server is given up [2]. */
  natsMaxPingOut?: number;
  /** Encodes publishes that are neither bytes nor strings, and decodes messages for `decode` [JSON]. */
  codec?: Codec<unknown>;
  /**
   * Whether a publish without an ack is sent again under the same guid [auto]. With `auto` it is if the broker says that it stores
   * a guid once. With `true` it always is, and another broker may store the message twice.
   */
  retry?: boolean | 'auto';
  /** Whether a lost connection is made again by itself, with its subscriptions [false]. */
  resume?: boolean;
  /** Whether a `close` without an answer leaves NATS connected, so that `close` can be called again [false]. */
  allowCloseRetry?: boolean;
}

/** Checked options, with their defaults. */
export interface ResolvedOptions {
  readonly clusterId: string;
  readonly clientId: string;
  readonly natsConnection: NatsConnection | undefined;
  readonly natsOptions: ConnectionOptions;
  readonly connectTimeout: number;
  readonly ackTimeout: number;
  readonly discoverPrefix: string;
  readonly maxPubAcksInFlight: number;
  readonly maxPubBytesInFlight: number;
  readonly maxQueuedBytes: number;
  readonly pingIntervalSeconds: number;
  readonly pingMaxOut: number;
  readonly codec: Codec<unknown>;
  readonly retry: boolean | 'auto';
  readonly resume: boolean;
  readonly allowCloseRetry: boolean;
}

/** Every name in `NatsOptions`. The type makes the compiler check that none is missing. */
const NATS_NAMES: Readonly<Record<keyof NatsOptions, true>> = {
  authenticator: true,
  debug: true,
  ignoreAuthErrorAbort: true,
  ignoreClusterUpdates: true,
  inboxPrefix: true,
  maxReconnectAttempts: true,
  name: true,
  noAsyncTraces: true,
  noEcho: true,
  noRandomize: true,
  pass: true,
  pedantic: true,
  port: true,
  reconnect: true,
  reconnectDelayHandler: true,
  reconnectJitter: true,
  reconnectJitterTLS: true,
  reconnectTimeWait: true,
  resolve: true,
  tls: true,
  token: true,
  user: true,
  verbose: true,
  waitOnFirstConnect: true,
};
const NAMES: Readonly<Record<Exclude<keyof ConnectOptions, keyof NatsOptions>, true>> = {
  clusterId: true,
  clientId: true,
  servers: true,
  natsConnection: true,
  connectTimeout: true,
  ackTimeout: true,
  discoverPrefix: true,
  maxPubAcksInFlight: true,
  maxPubBytesInFlight: true,
  maxQueuedBytes: true,
  pingInterval: true,
  pingMaxOut: true,
  natsPingInterval: true,
  natsMaxPingOut: true,
  codec: true,
  retry: true,
  resume: true,
  allowCloseRetry: true,
};
const CONNECT_NAMES: ReadonlySet<string> = new Set(Object.keys({ ...NAMES, ...NATS_NAMES }));

const MIB = 1024 * 1024;
const MAX_MS = 2 ** 31 - 1;
const CONNECT_MS = 2_000;
const ACK_MS = 30_000;
const PING_MS = 5_000;
/** As in the Go client: a shorter outage of the broker does not lose the connection. A broker that has forgotten the client says so at once. */
const PING_MAX_OUT = 88;
/** A connection that looks well and carries nothing, or one way only, is given up after 4 to 6 s. nats.js takes 4 to 6 minutes. */
const NATS_PING_MS = 2_000;
const NATS_MAX_PING_OUT = 2;
const RECONNECT_MS = 100;

/** @throws InvalidOptionError naming the first invalid option */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  checkObject('the options of connect', options);
  checkNames('connect', options, CONNECT_NAMES);
  const {
    clusterId,
    clientId,
    servers,
    natsConnection,
    connectTimeout = CONNECT_MS,
    ackTimeout = ACK_MS,
    discoverPrefix = DEFAULT_DISCOVER_PREFIX,
    maxPubAcksInFlight = 16_384,
    maxPubBytesInFlight = 64 * MIB,
    maxQueuedBytes = 256 * MIB,
    pingInterval = PING_MS,
    pingMaxOut = PING_MAX_OUT,
    natsPingInterval = NATS_PING_MS,
    natsMaxPingOut = NATS_MAX_PING_OUT,
    codec = jsonCodec(),
    retry = 'auto',
    resume = false,
    allowCloseRetry = false,
    ...nats
  } = options;
  checkName('clusterId', clusterId);
  if (typeof clientId !== 'string' || !isClientIdValid(clientId))
    throw new InvalidOptionError(
      `clientId ${quote(clientId)} cannot be`,
      'It must have letters, digits, "-" and "_", and nothing else',
    );
  checkName('discoverPrefix', discoverPrefix);
  checkNumber('connectTimeout', connectTimeout, 1, MAX_MS);
  checkNumber('ackTimeout', ackTimeout, 1, MAX_MS);
  checkNumber('maxPubAcksInFlight', maxPubAcksInFlight, 1, 2 ** 24);
  checkNumber('maxPubBytesInFlight', maxPubBytesInFlight, 1, Number.MAX_SAFE_INTEGER);
  checkNumber('maxQueuedBytes', maxQueuedBytes, 0, Number.MAX_SAFE_INTEGER);
  checkNumber('pingInterval', pingInterval, 1_000, MAX_MS);
  checkNumber('pingMaxOut', pingMaxOut, 1, 2 ** 31 - 1);
  if (retry !== 'auto' && typeof retry !== 'boolean')
    throw new InvalidOptionError(`retry ${quote(retry)} cannot be`, 'It is true, false or "auto"');
  checkBoolean('resume', resume);
  checkBoolean('allowCloseRetry', allowCloseRetry);
  checkCodec(codec);
  if (servers !== undefined && ![servers].flat().every((server) => typeof server === 'string'))
    throw new InvalidOptionError(`servers ${quote(servers)} cannot be`, 'It is a URL, or an array of URLs');
  if (natsConnection !== undefined && servers !== undefined)
    throw new InvalidOptionError(
      'servers and natsConnection are both given',
      'Give the servers to connect to, or the connection to use',
    );
  if (natsConnection !== undefined && typeof natsConnection?.subscribe !== 'function')
    throw new InvalidOptionError(
      `natsConnection ${quote(natsConnection)} cannot be`,
      'It is the result of connect of @nats-io/transport-node, or of nats',
    );
  return {
    clusterId,
    clientId,
    natsConnection,
    natsOptions: {
      name: `stanchion ${clientId}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      ...nats,
      ...(servers !== undefined && { servers }),
      pingInterval: natsPingInterval,
      maxPingOut: natsMaxPingOut,
      timeout: connectTimeout,
    },
    connectTimeout,
    ackTimeout,
    discoverPrefix,
    maxPubAcksInFlight,
    maxPubBytesInFlight,
    maxQueuedBytes,
    pingIntervalSeconds: Math.ceil(pingInterval / 1000),
    pingMaxOut,
    codec,
    retry,
    resume,
    allowCloseRetry,
  };
}

/** @throws InvalidOptionError unless the value is a whole number from `min` to `max` */
export function checkNumber(name: string, value: unknown, min: number, max: number): void {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
    throw new InvalidOptionError(
      `${name} ${quote(value)} cannot be`,
      `It must be a whole number from ${min} to ${max}`,
    );
}

/** @throws InvalidOptionError */
export function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null)
    throw new InvalidOptionError(`${name} cannot be ${quote(value)}`, 'They are an object');
}

/**
 * Refuses unknown options. In JavaScript no compiler finds a misspelt option, and without effect it may lose messages: a durable
 * would be none.
 *
 * @param of the function that takes the options
 * @throws InvalidOptionError naming the first unknown option
 */
export function checkNames(of: string, options: object, names: ReadonlySet<string>): void {
  for (const name in options) {
    if (names.has(name) || !Object.hasOwn(options, name)) continue;
    const nearest = nearestWord(name, names);
    throw new InvalidOptionError(
      `${of} has no option ${quote(name)}`,
      nearest === undefined ? `It has ${[...names].join(', ')}` : `Did you mean ${nearest}?`,
    );
  }
}

/** @throws InvalidOptionError */
export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean')
    throw new InvalidOptionError(`${name} ${quote(value)} cannot be`, 'It is true or false');
}

/** @throws InvalidOptionError */
export function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string')
    throw new InvalidOptionError(`${name} ${quote(value)} cannot be`, 'It is a string');
}

/** @throws InvalidOptionError */
export function checkCodec(codec: Partial<Codec<unknown>> | null): void {
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function')
    throw new InvalidOptionError(`codec ${quote(codec)} cannot be`, 'It has the functions encode and decode');
}

function checkName(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '' || /[\s*>]|^\.|\.\.|\.$/.test(value))
    throw new InvalidOptionError(
      `${name} ${quote(value)} cannot be`,
      'It is part of NATS subjects: no spaces, no wildcards, no empty parts between dots',
    );
}

/** Any value in one line, for error messages. */
export function quote(value: unknown): string {
  if (typeof value === 'string') return `"${withoutUrlSecrets(value).slice(0, 100)}"`;
  return typeof value === 'object'
    ? withoutUrlSecrets(inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY })).slice(0, 100)
    : String(value);
}
