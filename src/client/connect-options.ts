import { inspect } from 'node:util';
import type { NodeConnectionOptions as ConnectionOptions } from '@nats-io/transport-node';
import { DEFAULT_DISCOVER_PREFIX, isClientIdValid } from '../protocol/stan-subjects.js';
import { nearestWord } from '../util/suggest.js';
import { InvalidOptionError } from './client-errors.js';
import { type Codec, jsonCodec } from './codec.js';
import type { NatsConnection } from './nats-connection.js';

/** What of the NATS connection is not named otherwise here: authentication, TLS, reconnecting, its own pings. */
export type NatsOptions = Omit<ConnectionOptions, 'servers' | 'timeout' | 'pingInterval' | 'maxPingOut'>;

/** All times are in milliseconds. */
export interface ConnectOptions extends NatsOptions {
  /** Of the broker, or of the group. */
  clusterId: string;
  /** Letters, digits, `-` and `_`. One connection at a time has it. */
  clientId: string;
  /** NATS servers to connect to: `nats://host:4222`. */
  servers?: string | string[];
  /** A NATS connection to use instead, of `@nats-io/transport-node` or of `nats`: it stays open when this one is closed. */
  natsConnection?: NatsConnection;
  /** For NATS to connect, and then for the broker to answer [2,000]. */
  connectTimeout?: number;
  /** For the ack of a publish, from the call on [30,000]. */
  ackTimeout?: number;
  /** Subject of connect requests, without the cluster id [_STAN.discover]. */
  discoverPrefix?: string;
  /** Publishes without an ack at a time; more wait, in order [16,384]. */
  maxPubAcksInFlight?: number;
  /** The same in bytes [64 MiB]. */
  maxPubBytesInFlight?: number;
  /** Bytes of publishes that may wait to be sent; beyond it they fail with PUBLISH_QUEUE_FULL [256 MiB]. */
  maxQueuedBytes?: number;
  /** Time between pings of the broker: whole seconds, rounded up [5,000]. */
  pingInterval?: number;
  /** So many pings without an answer, and the connection is lost [88: after the ack timeout of whatever waits]. */
  pingMaxOut?: number;
  /** Time between pings of the NATS server. */
  natsPingInterval?: number;
  /** So many pings without an answer, and the NATS server is given up. */
  natsMaxPingOut?: number;
  /** For what is published that is neither bytes nor a string, and for `decode` of messages [JSON]. */
  codec?: Codec<unknown>;
  /**
   * Send a publish again under the same guid while there is no ack: `auto` if the broker says that it stores a guid once
   * [auto]; `true` always: another broker may store the message twice.
   */
  retry?: boolean | 'auto';
  /** Connect again by itself when the connection is lost, and subscribe again [false]. */
  resume?: boolean;
  /** A `close` without an answer leaves NATS connected, so that it can be called again [false]. */
  allowCloseRetry?: boolean;
}

/** Options with their defaults, checked. */
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

/** Of everything that has a name in `ConnectOptions`: the compiler looks after that. */
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
/** As the Go client: a broker that is away for less is ridden out. One that is there, and has forgotten the client, says so at once. */
const PING_MAX_OUT = 88;
const RECONNECT_MS = 100;

/** @throws InvalidOptionError naming the first option that cannot be */
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
    natsPingInterval,
    natsMaxPingOut,
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
      'It is what connect of @nats-io/transport-node gives, or of nats',
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
      ...(natsPingInterval !== undefined && { pingInterval: natsPingInterval }),
      ...(natsMaxPingOut !== undefined && { maxPingOut: natsMaxPingOut }),
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

/** @throws InvalidOptionError unless it is a whole number in these bounds */
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
 * Whoever writes JavaScript has no compiler that finds a slip, and an option without effect may lose messages: a durable would be none.
 *
 * @param of what takes the options
 * @throws InvalidOptionError naming the first that is none of these names
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

/** For messages: any value, in one line. */
export function quote(value: unknown): string {
  if (typeof value === 'string') return `"${value.slice(0, 100)}"`;
  return typeof value === 'object'
    ? inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY }).slice(0, 100)
    : String(value);
}
