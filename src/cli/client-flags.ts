// The flags with which `pub`, `sub`, `bench`, `status` and `drill` connect to NATS and to a broker: one table, and what
// becomes of the values. Options that a broker has too are read by the resolver of `serve`, so they mean the same.

import { randomBytes } from 'node:crypto';
import type { Authenticator, TlsOptions } from '@nats-io/transport-node';
import type { Argv, Options } from 'yargs';
import { checkChannelName } from '../client/pub-encoder.js';
import { ConfigError } from '../config/config-error.js';
import { subject } from '../config/kinds.js';
import { NATS_OPTIONS, natsConfigOf } from '../config/nats-options.js';
import type { NatsConfig } from '../config/serve-config.js';
import type { ConnectOptions } from '../index.js';
import { authenticators, controlTls } from '../nats/credentials.js';
import { isClientIdValid } from '../protocol/stan-subjects.js';
import { type Flags, flagsOf } from './flags.js';

/** The file that every command reads. */
export const CONFIG_FLAG = {
  config: flag("File with any of these flags, in YAML or JSON; a broker's will do"),
} as const satisfies Record<string, Options>;

/** How to connect to NATS, the same for all commands. */
export const NATS_FLAGS = {
  'nats-server': flag('NATS servers, separated by commas [default: nats://127.0.0.1:4222]', ['s', 'server']),
  'nats-in-order': flagSwitch('Connect to the first of them that can be reached, instead of to any'),
  user: flag('User in NATS', ['u']),
  pass: flag('Password in NATS', ['pw']),
  auth: flag('Token in NATS'),
  creds: flag('Credentials file (JWT and nkey)', ['cr']),
  nkey: flag('File with the seed of an nkey', ['nkey-seed-file']),
  'tls-ca': flag('CA certificate to check the servers with', ['tls-client-cacert']),
  'tls-cert': flag("The client's own certificate", ['tls-client-cert']),
  'tls-key': flag('Its private key', ['tls-client-key']),
  'tls-server-name': flag(
    'Name that the certificates of the servers must have, if it is not the one in the URL',
  ),
  secure: flagSwitch('TLS without checking the certificates of the servers', ['tls-skip-verify']),
  'inbox-prefix': flag('Prefix of the subjects for answers [default: _INBOX]'),
  'connect-timeout': flag('How long to wait for an answer of NATS or of the broker [default: 5s]'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

/** Which broker or group to talk to. */
export const CLUSTER_FLAGS = {
  'cluster-id': flag('Cluster id of the broker or the group [default: test-cluster]', [
    'c',
    'cluster',
    'cid',
  ]),
} as const satisfies Record<string, Options>;

export const DISCOVER_FLAGS = {
  'discover-prefix': flag('Discover prefix of the broker [default: _STAN.discover]'),
} as const satisfies Record<string, Options>;

/** How to connect to a broker as a client. */
export const CLIENT_FLAGS = {
  ...CLUSTER_FLAGS,
  ...DISCOVER_FLAGS,
  'client-id': flag('Client id [default: a random one]', ['id', 'clientid']),
} as const satisfies Record<string, Options>;

/** The flag of commands that publish. */
export const ACK_FLAGS = {
  'ack-timeout': flag('How long to wait for the ack of a published message [default: 30s]'),
} as const satisfies Record<string, Options>;

export type NatsFlag = keyof typeof NATS_FLAGS;
export type ConnectionFlag = NatsFlag | keyof typeof CLIENT_FLAGS;

/** Options that both the NATS client and the client library take. */
export interface NatsConnectOptions {
  servers: string[];
  authenticator: Authenticator[];
  tls?: TlsOptions;
  noRandomize?: boolean;
  inboxPrefix?: string;
}

const MAX_TIMEOUT_MS = 3_600_000;
const CONNECT_MS = 5_000;
const ACK_MS = 30_000;
const DEFAULT_SERVER = 'nats://127.0.0.1:4222';

/**
 * A flag with a value. `Flags` parses numbers, since yargs accepts what is no number.
 *
 * @param alias more names, in the spelling of other tools
 */
export function flag(describe: string, alias: string[] = []): Options {
  return { type: 'string', requiresArg: true, describe, alias };
}

/** A flag without a value. It has no default, so that the environment can give it. */
export function flagSwitch(describe: string, alias: string[] = []): Options {
  return { type: 'boolean', describe, alias };
}

/**
 * Adds a command's own flags and the NATS flags.
 *
 * @param connection the command's own flags that the help lists under "Connection" too
 */
export function addNatsFlags<Own extends string>(
  command: Argv,
  own: Readonly<Record<Own, Options>>,
  connection: readonly Own[] = [],
): Argv {
  return command
    .options(own)
    .options(NATS_FLAGS)
    .group([...Object.keys(NATS_FLAGS), ...connection], 'Connection:');
}

/** Adds a command's own flags and those for connecting to a broker. */
export function addClientFlags(command: Argv, own: Readonly<Record<string, Options>>): Argv {
  return addNatsFlags(command, { ...own, ...CLIENT_FLAGS }, Object.keys(CLIENT_FLAGS));
}

/** Reads the flags of a command that connects to NATS: from the command line, the environment and the config file. */
export function natsFlags<Own extends string>(
  args: Readonly<Record<string, unknown>>,
  own: Readonly<Record<Own, Options>>,
  environment = process.env,
): Promise<Flags<Own | NatsFlag>> {
  return flagsOf(args, [...Object.keys(own), ...Object.keys(NATS_FLAGS)] as (Own | NatsFlag)[], environment);
}

/** Reads the flags of a command that connects to a broker: from the command line, the environment and the config file. */
export function clientFlags<Own extends string>(
  args: Readonly<Record<string, unknown>>,
  own: Readonly<Record<Own, Options>>,
): Promise<Flags<Own | ConnectionFlag>> {
  return natsFlags(args, { ...own, ...CLIENT_FLAGS });
}

/**
 * How to connect to NATS, made by the resolver of `serve` from the options of the same names.
 *
 * @throws ConfigError naming the flag whose value is wrong, or that contradicts another
 */
export function natsConfig(flags: Flags<NatsFlag>): NatsConfig {
  const chosen = flags.options(NATS_OPTIONS);
  const servers = chosen.values['nats-server'] ?? [DEFAULT_SERVER];
  return natsConfigOf({ ...chosen, values: { ...chosen.values, 'nats-server': servers } });
}

/**
 * The options for connecting to NATS.
 *
 * @throws ConfigError naming the flag whose value is wrong, or that contradicts another
 */
export function natsOptions(flags: Flags<NatsFlag>): NatsConnectOptions {
  const nats = natsConfig(flags);
  const tls = controlTls(nats, false);
  const inboxPrefix = flags.text('inbox-prefix');
  if (inboxPrefix !== undefined && subject.parse(inboxPrefix) === undefined)
    throw new ConfigError(`${flags.where('inbox-prefix')}: "${inboxPrefix}" is not ${subject.expected}`);
  return {
    servers: [...nats.servers],
    authenticator: authenticators(nats),
    ...(tls !== undefined && { tls }),
    ...(nats.inOrder && { noRandomize: true }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
  };
}

export function connectTimeoutMs(flags: Flags<'connect-timeout'>): number {
  return flags.durationMs('connect-timeout', CONNECT_MS, 1, MAX_TIMEOUT_MS);
}

export function ackTimeoutMs(flags: Flags<'ack-timeout'>): number {
  return flags.durationMs('ack-timeout', ACK_MS, 1, MAX_TIMEOUT_MS);
}

/** @throws ConfigError if `subject` is no channel name */
export function channelName(subject: unknown): string {
  const name = String(subject);
  try {
    checkChannelName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  return name;
}

/**
 * The options for connecting to a broker.
 *
 * @param tool name of the command, which becomes a part of a random client id
 * @throws ConfigError naming the flag whose value is wrong, or that contradicts another
 */
export function connectOptions(flags: Flags<ConnectionFlag>, tool: string): ConnectOptions {
  const clientId = flags.text('client-id') ?? `stanchion-${tool}-${randomBytes(6).toString('hex')}`;
  if (!isClientIdValid(clientId))
    throw new ConfigError(`--client-id must have letters, digits, "-" and "_" only, and is "${clientId}"`);
  return {
    ...natsOptions(flags),
    name: `stanchion ${tool}`,
    clusterId: flags.option('cluster-id'),
    discoverPrefix: flags.option('discover-prefix'),
    clientId,
    connectTimeout: connectTimeoutMs(flags),
  };
}
