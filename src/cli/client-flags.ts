import { randomBytes } from 'node:crypto';
import type { Authenticator, TlsOptions } from 'nats';
import type { Argv, Options } from 'yargs';
import { checkChannelName } from '../client/pub-encoder.js';
import { ConfigError } from '../config/error.js';
import { parseServers } from '../config/nats.js';
import type { NatsConfig } from '../config/serve-config.js';
import type { ConnectOptions } from '../index.js';
import { authenticators, controlTls } from '../nats/credentials.js';
import { isClientIdValid } from '../protocol/subjects.js';
import { type Flags, flagsOf } from './flags.js';

/** Of every command. */
export const CONFIG_FLAG = {
  config: flag('File with any of these flags, in YAML or JSON; the one of a broker will do'),
} as const satisfies Record<string, Options>;

export const NATS_FLAGS = {
  'nats-server': flag('NATS servers, by commas [default: nats://127.0.0.1:4222]', ['s', 'server']),
  user: flag('User in NATS', ['u']),
  pass: flag('Password in NATS', ['pw']),
  auth: flag('Token in NATS'),
  creds: flag('Credentials file (JWT and nkey)', ['cr']),
  nkey: flag('File with the seed of an nkey'),
  'tls-ca': flag('CA certificate that the servers are checked with'),
  'tls-cert': flag("The client's own certificate"),
  'tls-key': flag('Its private key'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

export const CLIENT_FLAGS = {
  'cluster-id': flag('Cluster id of the broker or the group [default: test-cluster]', [
    'c',
    'cluster',
    'cid',
  ]),
  'client-id': flag('Client id [default: one that nobody has]', ['id', 'clientid']),
  'connect-timeout': flag('For the broker to answer [default: 5s]'),
  'ack-timeout': flag('For the ack of a message that was published [default: 30s]'),
} as const satisfies Record<string, Options>;

/** How to connect to NATS. */
export type NatsFlag = keyof typeof NATS_FLAGS;
/** How to connect to a broker. */
export type ConnectionFlag = NatsFlag | keyof typeof CLIENT_FLAGS;

export interface NatsConnectOptions {
  servers: string[];
  authenticator: Authenticator[];
  tls?: TlsOptions;
}

const MAX_TIMEOUT_MS = 3_600_000;
const CONNECT_MS = 5_000;
const ACK_MS = 30_000;

/**
 * A flag with a value. Numbers are looked at by `Flags`: yargs takes what is no number for one.
 *
 * @param alias further names, in the spelling of other tools
 */
export function flag(describe: string, alias: string[] = []): Options {
  return { type: 'string', requiresArg: true, describe, alias };
}

/** A flag without a value. It has no default, so that the environment can give it. */
export function flagSwitch(describe: string, alias: string[] = []): Options {
  return { type: 'boolean', describe, alias };
}

/** Adds a command's own flags, and those that tell how to connect to NATS. */
export function addNatsFlags(command: Argv, own: Record<string, Options>): Argv {
  return command.options(own).options(NATS_FLAGS).group(Object.keys(NATS_FLAGS), 'Connection:');
}

/** Adds a command's own flags, and those that tell how to connect to a broker. */
export function addClientFlags(command: Argv, own: Record<string, Options>): Argv {
  return addNatsFlags(command, own)
    .options(CLIENT_FLAGS)
    .group([...Object.keys(NATS_FLAGS), ...Object.keys(CLIENT_FLAGS)], 'Connection:');
}

/** The flags of a command that connects, wherever they were given. */
export function clientFlags<Own extends string>(
  args: Readonly<Record<string, unknown>>,
  own: readonly Own[],
): Flags<Own | ConnectionFlag> {
  const names = [...own, ...(Object.keys({ ...NATS_FLAGS, ...CLIENT_FLAGS }) as ConnectionFlag[])];
  return flagsOf(args, names);
}

/**
 * How to connect to NATS.
 *
 * @throws ConfigError on what cannot be
 */
export function natsOptions(flags: Flags<NatsFlag>): NatsConnectOptions {
  const nats = natsConfig(flags);
  const tls = controlTls(nats, false);
  return {
    servers: [...nats.servers],
    authenticator: authenticators(nats),
    ...(tls !== undefined && { tls }),
  };
}

/** @throws ConfigError if that cannot be a channel */
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
 * How to connect to a broker.
 *
 * @param tool name of the command: it is part of the client id if none is given
 * @throws ConfigError on what cannot be
 */
export function connectOptions(flags: Flags<ConnectionFlag>, tool: string): ConnectOptions {
  const clusterId = flags.text('cluster-id') ?? 'test-cluster';
  if (/[\s*>]|^\.|\.\.|\.$/.test(clusterId))
    throw new ConfigError(
      `--cluster-id must have no spaces, no wildcards and no empty parts between dots, and is "${clusterId}"`,
    );
  const clientId = flags.text('client-id') ?? `stanchion-${tool}-${randomBytes(6).toString('hex')}`;
  if (!isClientIdValid(clientId))
    throw new ConfigError(`--client-id must have letters, digits, "-" and "_" only, and is "${clientId}"`);
  return {
    ...natsOptions(flags),
    name: `stanchion ${tool}`,
    clusterId,
    clientId,
    connectTimeout: flags.durationMs('connect-timeout', CONNECT_MS, 1, MAX_TIMEOUT_MS),
    ackTimeout: flags.durationMs('ack-timeout', ACK_MS, 1, MAX_TIMEOUT_MS),
  };
}

function natsConfig(flags: Flags<NatsFlag>): NatsConfig {
  const urls = (flags.text('nats-server') ?? DEFAULT_SERVER).split(',');
  const { servers, inUrls } = parseServers(
    urls.map((url) => url.trim()),
    '--nats-server',
  );
  const given = { user: flags.text('user'), pass: flags.text('pass'), token: flags.text('auth') };
  const credsFile = flags.text('creds');
  const nkeyFile = flags.text('nkey');
  const caFile = flags.text('tls-ca');
  const certFile = flags.text('tls-cert');
  const keyFile = flags.text('tls-key');
  if (given.pass !== undefined && given.user === undefined) throw new ConfigError('--pass needs --user');
  if (given.user !== undefined && given.token !== undefined)
    throw new ConfigError('--user and --auth exclude each other: give one');
  if (credsFile !== undefined && nkeyFile !== undefined)
    throw new ConfigError('--creds and --nkey exclude each other: give one');
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new ConfigError('--tls-cert and --tls-key belong together: give both, or none');
  const hasTls = caFile !== undefined || certFile !== undefined;
  const isGiven = given.user !== undefined || given.token !== undefined;
  return {
    servers,
    inOrder: false,
    ...(isGiven || inUrls === undefined ? given : inUrls),
    credsFile,
    nkeyFile,
    tls: hasTls ? { caFile, certFile, keyFile, serverName: undefined, skipVerify: false } : undefined,
  };
}

const DEFAULT_SERVER = 'nats://127.0.0.1:4222';
