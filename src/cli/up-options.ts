import { readFileSync } from 'node:fs';
import type { RawValue } from '../config/argv.js';
import { ConfigError } from '../config/config-error.js';
import { readEnvironment } from '../config/env.js';
import { boolean } from '../config/kinds.js';
import type { Credentials } from '../config/nats-options.js';
import { CONFIG_FILE_OPTIONS, type OptionName, optionOf } from '../config/options.js';
import { NO_CONFIG_FILE, resolveServe } from '../config/resolve.js';
import type { Flags } from './flags.js';
import { UP_FLAGS, type UpFlag } from './up-flags.js';

/** The local group that `stanchion up` starts. */
export interface UpOptions {
  readonly nodes: number;
  readonly dir: string;
  /** Port of the first nats-server; 0 takes free ports. */
  readonly port: number;
  /** HTTP port of the first broker; 0 takes free ports, undefined is no HTTP. */
  readonly httpPort: number | undefined;
  readonly clusterId: string;
  readonly group: string;
  /** The credentials that the nats-servers require of clients, also of the brokers. */
  readonly credentials: Credentials;
  readonly natsServerBinary: string;
  /** More flags for the brokers. They read their environment themselves. */
  readonly brokerFlags: readonly string[];
  readonly brokerEnvironment: NodeJS.ProcessEnv;
}

const DEFAULT_PORT = 4222;
const DEFAULT_HTTP_PORT = 8222;
const MAX_NODES = 9;
const MAX_PORT = 65_535 - MAX_NODES;

/**
 * Makes the options of `up`. Its brokers take every option for a broker in the config file and in the environment.
 *
 * @param logFormat the log format of the brokers, unless the user chose one
 * @throws ConfigError naming an option that is wrong, or impossible in a local group
 */
export async function upOptions(
  flags: Flags<UpFlag>,
  environment: NodeJS.ProcessEnv,
  logFormat: 'pretty' | 'json',
): Promise<UpOptions> {
  const inEnvironment = readEnvironment(environment).values.filter(
    ({ name }) => !CONFIG_FILE_OPTIONS.includes(name),
  );
  const chosen = [...flags.fileOptions, ...inEnvironment];
  for (const option of chosen) checkIsPossible(option);
  const {
    dir = './data',
    'cluster-id': clusterId,
    'ft-group': group = 'local',
  } = flags.options(['dir', 'cluster-id', 'ft-group']).values;
  const config = brokersFile(flags);
  const brokerFlags = config === undefined ? [] : ['--config', config];
  if (!chosen.some(({ name }) => name === 'log-format')) brokerFlags.push('--log-format', logFormat);
  const brokerEnvironment = { ...environment, STANCHION_CONFIG: '', STANCHION_STAN_CONFIG: '' };
  // An option that the brokers would refuse is refused here, once.
  const { parseConfigFile } = await import('../config/config-file.js');
  const { config: broker, options } = resolveServe(
    [
      ...['--cluster-id', clusterId, '--ft-group', group, '--store', 'file', '--dir', dir],
      ...['--nats-server', 'nats://127.0.0.1', ...brokerFlags],
    ],
    brokerEnvironment,
    (path) => (config === undefined ? NO_CONFIG_FILE : parseConfigFile(path, readFileSync(path, 'utf8'))),
  );
  const { user, pass, token } = broker.nats;
  return {
    nodes: flags.number('nodes', 3, 1, MAX_NODES),
    dir,
    port: firstPort(flags, 'port', flags.where('port') === undefined ? DEFAULT_PORT : flags.option('port')),
    httpPort: httpPortOf(flags),
    clusterId,
    group,
    credentials: { user, pass, token },
    natsServerBinary: options['nats-server-bin'],
    brokerFlags,
    brokerEnvironment,
  };
}

/** The path of the config file if it has anything for brokers: they read it themselves, also at each SIGHUP. */
function brokersFile(flags: Flags<UpFlag>): string | undefined {
  const isForBrokers = ({ name }: RawValue): boolean => !(name in UP_FLAGS);
  const isNeeded = flags.fileOptions.some(isForBrokers) || flags.fileChannels.length > 0;
  if (!isNeeded) return undefined;
  const nodes = flags.where('nodes');
  if (nodes !== undefined && !flags.isOnCommandLine('nodes') && nodes.startsWith('config file'))
    throw new ConfigError(
      `${nodes} is no option of the brokers, which read this file too: give it as --nodes`,
    );
  return flags.text('config');
}

function httpPortOf(flags: Flags<UpFlag>): number | undefined {
  if (flags.where('http-port') === undefined) return DEFAULT_HTTP_PORT;
  const port = flags.option('http-port');
  return port === false ? undefined : firstPort(flags, 'http-port', port);
}

/** Checks that the ports of the other nodes, which follow this one, exist. */
function firstPort(flags: Flags<UpFlag>, name: 'port' | 'http-port', port: number): number {
  if (port > MAX_PORT)
    throw new ConfigError(`${flags.where(name)} must be ${MAX_PORT} at most: the ports of the others follow`);
  return port;
}

function checkIsPossible({ name, text, where }: RawValue): void {
  const why = whyNot(name, text);
  if (why !== undefined) throw new ConfigError(`${where} is impossible in the group that up starts: ${why}`);
}

/** Why an option is impossible in a local group; undefined if it is possible. */
function whyNot(name: OptionName, text: string): string | undefined {
  switch (name) {
    case 'port':
    case 'nats-server-bin':
    case 'user':
    case 'pass':
    case 'auth':
      return undefined;
    case 'store':
      return text.toLowerCase() === 'file' ? undefined : 'its brokers share a file store';
    case 'nats-in-order':
      return boolean.parse(text) === true ? undefined : 'each broker prefers the nats-server beside it';
    case 'nats-server':
      return 'it has nats-servers of its own. `stanchion serve` runs one broker beside others';
    case 'node-name':
      return 'its brokers are called stan-1, stan-2 and so on';
    case 'pid':
      return 'it is more than one process';
    default:
      break;
  }
  const { section } = optionOf(name);
  if (section === 'nats')
    return 'clients of its nats-servers show --user and --pass, or --auth, and nothing else';
  if (section === 'natsServer') return 'its nats-servers listen on 127.0.0.1, and are joined by routes';
  return undefined;
}
