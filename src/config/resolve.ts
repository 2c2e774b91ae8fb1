// The resolver of `serve`: it reads command line, environment and config file, and makes one configuration of them.

import { hostname } from 'node:os';
import { parseFlags, type RawValue } from './argv.js';
import { type Choices, choose } from './choose.js';
import { ConfigError } from './config-error.js';
import type { ConfigFile } from './config-file.js';
import { type Environment, readEnvironment } from './env.js';
import { httpAccessOf, httpTlsOf, httpWarnings } from './http-options.js';
import { ChannelLimitsTable, isLiteral } from './limits-table.js';
import { natsConfigOf, natsServerConfigOf, startsTls } from './nats-options.js';
import { OPTION_NAMES, type OptionName, type OptionValues, optionOf } from './options.js';
import type { GroupConfig, ServeConfig, StoreConfig } from './serve-config.js';

export type ReadConfigFile = (path: string) => ConfigFile;

/** The content if there is no config file. */
export const NO_CONFIG_FILE: ConfigFile = { values: [], channels: [], warnings: [] };

/** Whether flags or environment name a config file. */
export function namesConfigFile(argv: readonly string[], env: Environment): boolean {
  return configValues([...readEnvironment(env).values, ...parseFlags(argv).values]).length > 0;
}

function configValues(values: readonly RawValue[]): RawValue[] {
  return values.filter((value) => value.name === 'config');
}

/**
 * Resolves the configuration of a broker. A flag beats the environment, the environment beats the config file, and the file
 * beats the default.
 *
 * @param argv the arguments after `serve`
 * @param readFile reads the config file at a path; throws if it cannot be read, and `ConfigError` if its content is wrong
 * @throws ConfigError naming the error, and where it is
 */
export function resolveServeConfig(
  argv: readonly string[],
  env: Environment,
  readFile: ReadConfigFile,
): ServeConfig {
  return resolveServe(argv, env, readFile).config;
}

/** A configuration, and the options that it was made from. */
export interface ResolvedServe {
  readonly config: ServeConfig;
  readonly options: OptionValues;
  /** Limits of single channels. */
  readonly channels: ConfigFile['channels'];
}

/** Resolves as `resolveServeConfig` does, and keeps the options, for a reload to compare. */
export function resolveServe(
  argv: readonly string[],
  env: Environment,
  readFile: ReadConfigFile,
): ResolvedServe {
  const flags = parseFlags(argv);
  const environment = readEnvironment(env);
  const file = readConfigFile([...environment.values, ...flags.values], readFile);
  const choices = choose([file.values, environment.values, flags.values]);
  const warnings = [
    ...flags.warnings,
    ...environment.warnings,
    ...file.warnings,
    ...withoutEffect(choices),
    ...httpWarnings(choices.values),
  ];
  const config = { ...buildConfig(choices, file), warnings };
  return { config, options: choices.values, channels: file.channels };
}

function readConfigFile(values: readonly RawValue[], readFile: ReadConfigFile): ConfigFile {
  const named = configValues(values);
  const last = named.at(-1);
  if (last === undefined) return NO_CONFIG_FILE;
  const other = named.find((value) => value.text !== last.text && isFlag(value) && isFlag(last));
  if (other) {
    throw new ConfigError(
      `${other.where} and ${last.where} both name the config file of stanchion. Give that of nats-server with --nats-config`,
    );
  }
  try {
    return readFile(last.text);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      `${last.where}: cannot read ${last.text}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function isFlag(value: RawValue): boolean {
  return value.where.startsWith('-');
}

function buildConfig(choices: Choices, file: ConfigFile): Omit<ServeConfig, 'warnings'> {
  const { values } = choices;
  const channelLimits = new ChannelLimitsTable(
    {
      maxMessages: values['max-msgs'],
      maxBytes: values['max-bytes'],
      maxAgeMs: values['max-age'],
      maxSubscriptions: values['max-subs'],
      maxInactivityMs: values['max-inactivity'],
    },
    file.channels,
  );
  checkChannelCount(values['max-channels'], file);
  return {
    clusterId: values['cluster-id'],
    discoverPrefix: values['discover-prefix'],
    nodeName: values['node-name'] ?? hostname(),
    store: storeConfigOf(values),
    group: groupConfigOf(values),
    maxChannels: values['max-channels'],
    channelLimits,
    maxPendingBytes: values['max-pending-bytes'],
    heartbeatIntervalMs: values['hb-interval'],
    heartbeatTimeoutMs: values['hb-timeout'],
    heartbeatFailCount: values['hb-fail-count'],
    replaceDurable: values['replace-durable'],
    nats: natsConfigOf(choices, startsTls(values)),
    natsServer: natsServerConfigOf(choices),
    httpPort: values['http-port'] === false ? undefined : values['http-port'],
    httpAddress: values['http-addr'],
    httpAllowedHosts: values['http-allowed-hosts'],
    httpTls: httpTlsOf(values),
    httpAccess: httpAccessOf(values),
    metricsMaxChannels: values['metrics-max-channels'],
    log: {
      level: values.debug ? 'debug' : values['log-level'],
      format: values['log-format'],
      file: values['log-file'],
      withTime: values.logtime,
    },
    pidFile: values.pid,
  };
}

const MIN_LEASE_MS = 200;
const MAX_LEASE_MS = 60_000;

function groupConfigOf(values: OptionValues): GroupConfig | undefined {
  const name = values['ft-group'];
  const leaseMs = values['ft-lease'];
  if (leaseMs < MIN_LEASE_MS || leaseMs > MAX_LEASE_MS) {
    throw new ConfigError('--ft-lease must be from 200ms to 1m: shorter flaps, longer is an outage');
  }
  if (name === undefined) return undefined;
  if (values.store === 'memory') {
    throw new ConfigError('--ft-group needs a store that its members share: add --store file --dir FOLDER');
  }
  return { name, leaseMs };
}

function storeConfigOf(values: OptionValues): StoreConfig {
  if (values.store === 'memory') return { kind: 'memory' };
  if (values.dir === undefined) {
    throw new ConfigError('the file store needs a folder: add --dir FOLDER');
  }
  return { kind: 'file', dir: values.dir, sync: values['file-sync'] };
}

function checkChannelCount(maxChannels: number, file: ConfigFile): void {
  const literals = file.channels.filter((rule) => isLiteral(rule.pattern)).length;
  if (maxChannels > 0 && literals > maxChannels) {
    throw new ConfigError(
      `the config file names ${literals} channels, and max-channels allows ${maxChannels}: raise it, or use patterns`,
    );
  }
}

const HTTP_OPTIONS = [
  'http-addr',
  'http-allowed-hosts',
  'http-tls-cert',
  'http-tls-key',
  'http-user',
  'http-pass',
  'http-token',
  'metrics-max-channels',
] as const satisfies readonly OptionName[];

/** A warning for each option that has no effect beside the others. */
function withoutEffect({ values, where }: Choices): string[] {
  const idle = (names: readonly OptionName[], why: string): string[] =>
    names.flatMap((name) => (where.has(name) ? [`${where.get(name)} has no effect ${why}`] : []));
  const warnings: string[] = [];
  if (values.store === 'memory') warnings.push(...idle(['dir', 'file-sync'], 'with --store memory'));
  if (values['ft-group'] === undefined) warnings.push(...idle(['ft-lease'], 'without --ft-group'));
  if (values['nats-server'] === undefined) warnings.push(...idle(['nats-in-order'], 'without --nats-server'));
  if (values.debug) warnings.push(...idle(['log-level'], 'with --debug'));
  if (values['http-port'] === false) {
    warnings.push(...idle([...HTTP_OPTIONS], 'without --http-port'));
  }
  if (values['nats-server'] !== undefined) {
    // A --nats-server flag may override a file or an environment that starts a nats-server: that is no mistake.
    const isByFlag = where.get('nats-server')?.startsWith('-') === true;
    const started = OPTION_NAMES.filter(
      (name) =>
        optionOf(name).section === 'natsServer' && !(isByFlag && where.get(name)?.startsWith('-') !== true),
    );
    warnings.push(...idle(started, 'with --nats-server: no nats-server is started'));
  }
  return warnings;
}
