// The resolver of `serve`: it reads command line, environment and config file, and makes one configuration of them.

import { hostname } from 'node:os';
import { extname } from 'node:path';
import { parseFlags, type RawValue } from './argv.js';
import { type Choices, choose } from './choose.js';
import { ConfigError } from './config-error.js';
import type { ConfigFile, NatsPart } from './config-file.js';
import { type Environment, readEnvironment } from './env.js';
import { httpAccessOf, httpTlsOf, httpWarnings } from './http-options.js';
import { ChannelLimitsTable, isLiteral } from './limits-table.js';
import { natsConfigOf, natsServerConfigOf, startsTls } from './nats-options.js';
import {
  CONFIG_FILE_OPTIONS,
  OPTION_NAMES,
  type OptionName,
  type OptionValues,
  optionOf,
} from './options.js';
import type { GroupConfig, ServeConfig, StoreConfig } from './serve-config.js';

/** @param isForNats whether it is the file of the nats-server alone */
export type ReadConfigFile = (path: string, isForNats?: boolean) => ConfigFile;

/** The content if there is no config file. */
export const NO_CONFIG_FILE: ConfigFile = { values: [], channels: [], warnings: [] };

/** Whether flags or environment name a config file. */
export function namesConfigFile(argv: readonly string[], env: Environment): boolean {
  return configValues([...readEnvironment(env).values, ...parseFlags(argv).values]).length > 0;
}

/** The values that name a config file. Flags override the environment. */
function configValues(values: readonly RawValue[]): RawValue[] {
  const named = values.filter(({ name }) => CONFIG_FILE_OPTIONS.includes(name));
  const flags = named.filter(isFlag);
  return flags.length > 0 ? flags : named;
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
  const files = namedFiles([...environment.values, ...flags.values]);
  const file = readNamedFiles(files, readFile);
  const choices = choose([file.values, environment.values, flags.values]);
  const warnings = [
    ...flags.warnings,
    ...environment.warnings,
    ...file.warnings,
    ...withoutEffect(choices),
    ...natsPartWarnings(choices, file.nats),
    ...httpWarnings(choices.values),
  ];
  const config = { ...buildConfig(choices, file), warnings };
  return { config, options: choices.values, channels: file.channels };
}

interface NamedFiles {
  readonly own: RawValue | undefined;
  readonly nats?: RawValue;
}

/**
 * The files that flags or environment name: the one with options, and that of the nats-server. As in the Go server, `--stan-config` and
 * `--config` name one each if both are given.
 */
function namedFiles(values: readonly RawValue[]): NamedFiles {
  const named = configValues(values);
  const config = theOnly(named.filter(({ name }) => name === 'config'));
  const stanConfig = theOnly(named.filter(({ name }) => name === 'stan-config'));
  if (config === undefined || stanConfig === undefined || config.text === stanConfig.text)
    return { own: stanConfig ?? config };
  if (['.yaml', '.yml'].includes(extname(config.text).toLowerCase())) throw bothNamed(config, stanConfig);
  const natsConfig = values.findLast(({ name }) => name === 'nats-config');
  if (natsConfig !== undefined && isFlag(natsConfig) === isFlag(config)) {
    throw new ConfigError(
      `${config.where} and ${natsConfig.where} both name the file of nats-server, since ${stanConfig.where} names that of stanchion`,
    );
  }
  return { own: stanConfig, nats: config };
}

/** @throws ConfigError if flags name two files */
function theOnly(named: readonly RawValue[]): RawValue | undefined {
  const last = named.at(-1);
  const other = named.find(({ text }) => text !== last?.text);
  if (last !== undefined && other !== undefined) throw bothNamed(other, last);
  return last;
}

function bothNamed(one: RawValue, other: RawValue): ConfigError {
  return new ConfigError(
    `${one.where} and ${other.where} both name the config file of stanchion. Give that of nats-server with --nats-config`,
  );
}

function readNamedFiles({ own, nats }: NamedFiles, readFile: ReadConfigFile): ConfigFile {
  if (own === undefined) return NO_CONFIG_FILE;
  const file = readNamed(own, readFile);
  if (nats === undefined) return file;
  const part = readNamed(nats, readFile, true);
  const values = file.values.filter((value) => !file.nats?.values.includes(value));
  return {
    values: [...values, ...part.values],
    channels: file.channels,
    warnings: [...file.warnings, ...part.warnings],
    nats: part.nats,
  };
}

function readNamed(named: RawValue, readFile: ReadConfigFile, isForNats = false): ConfigFile {
  try {
    return readFile(named.text, isForNats);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      `${named.where}: cannot read ${named.text}: ${error instanceof Error ? error.message : error}`,
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
    nats: natsConfigOf(choices, startsTls(values, file.nats)),
    natsServer: natsServerConfigOf(choices, file.nats),
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

/** A warning if what a Go server's file has for a nats-server has no effect. */
function natsPartWarnings({ values, where }: Choices, part: NatsPart | undefined): string[] {
  if (part === undefined || part.names.length === 0) return [];
  const natsConfig = where.get('nats-config');
  const isAttached = values['nats-server'] !== undefined;
  if (!isAttached && natsConfig === undefined) return [];
  const why = isAttached
    ? 'with --nats-server: no nats-server is started'
    : `beside ${natsConfig}, which names another file for the nats-server`;
  const names = part.names.filter((name) => !part.optionNames.has(name));
  if (names.length === 0) return [];
  return [
    `config file ${part.path}: ${names.join(', ')} ${names.length === 1 ? 'has' : 'have'} no effect ${why}`,
  ];
}
