// The table of options. Flags, environment, config file, --help and docs/reference.md are all made from it.

import { LOG_FORMATS, LOG_LEVELS } from '../log/levels.js';
import * as kinds from './kinds.js';

/** The headings of --help, in order. */
export const SECTIONS = {
  streaming: 'Streaming',
  limits: 'Limits (0 is unlimited; those of single channels are in the config file)',
  nats: 'NATS servers to attach to (without --nats-server, stanchion starts a nats-server)',
  natsServer: 'The nats-server that stanchion starts',
  process: 'The process',
} as const;

/** An option of `serve`. */
export interface Option {
  readonly kind: kinds.Kind<unknown>;
  /** The default as a user would write it. An option without a default has no value unless it is given. */
  readonly default?: string;
  readonly section: keyof typeof SECTIONS;
  readonly describe: string;
  /**
   * More names of the flag, as in the Go servers. The name in snake_case need not be here. --help shows the short ones.
   */
  readonly aliases?: readonly string[];
  /** More names in the config file. A dot stands for a section: `tls.client_cert`. */
  readonly fileKeys?: readonly string[];
  /** Whether this is a flag of nats-server, handed on to the supervised one. */
  readonly isHandedOn?: true;
}

export const OPTIONS = {
  'cluster-id': {
    kind: kinds.subject,
    default: 'test-cluster',
    section: 'streaming',
    describe: 'Name that clients connect to',
    aliases: ['cid'],
    fileKeys: ['id'],
  },
  store: {
    kind: kinds.oneOf(['memory', 'file']),
    default: 'memory',
    section: 'streaming',
    describe: 'Where messages and subscriptions are kept',
    aliases: ['st'],
    fileKeys: ['store_type', 'storetype'],
  },
  dir: {
    kind: kinds.path,
    section: 'streaming',
    describe: 'Folder of the file store',
    fileKeys: ['datastore'],
  },
  'file-sync': {
    kind: kinds.boolean,
    default: 'true',
    section: 'streaming',
    describe: 'Sync each batch to the disk before it is acknowledged',
    fileKeys: ['file.sync', 'file.do_sync', 'file.sync_on_flush', 'file.file_sync'],
  },
  'ft-group': {
    kind: kinds.subject,
    section: 'streaming',
    describe: 'Group of brokers on the same --dir: one serves, the others stand by to take over',
    aliases: ['ft-group-name'],
    fileKeys: ['ft_group_name'],
  },
  'ft-lease': {
    kind: kinds.positiveDuration,
    default: '600ms',
    section: 'streaming',
    describe: 'How long the active broker may be silent before a standby takes over',
  },
  'replace-durable': {
    kind: kinds.boolean,
    default: 'false',
    section: 'streaming',
    describe: 'A second subscription to a durable in use replaces the first, instead of being refused',
    fileKeys: ['replace_durables', 'replace_duplicate_durable', 'replace_duplicate_durables'],
  },
  'discover-prefix': {
    kind: kinds.subject,
    default: '_STAN.discover',
    section: 'streaming',
    describe: 'Subject of connect requests, without the cluster id',
  },
  'hb-interval': {
    kind: kinds.positiveDuration,
    default: '30s',
    section: 'streaming',
    describe: 'Time between heartbeats to a client',
    aliases: ['hbi'],
    fileKeys: ['server_to_client_hb_interval'],
  },
  'hb-timeout': {
    kind: kinds.positiveDuration,
    default: '10s',
    section: 'streaming',
    describe: 'How long a client may take to answer a heartbeat',
    aliases: ['hbt'],
    fileKeys: ['server_to_client_hb_timeout'],
  },
  'hb-fail-count': {
    kind: kinds.wholeNumber(0, 1_000_000),
    default: '10',
    section: 'streaming',
    describe: 'Unanswered heartbeats after which the client is closed',
    aliases: ['hbf'],
    fileKeys: ['server_to_client_hb_fail_count'],
  },

  'max-channels': {
    kind: kinds.count,
    default: '100',
    section: 'limits',
    describe: 'Number of channels',
    aliases: ['mc'],
    fileKeys: ['maxchannels'],
  },
  'max-subs': {
    kind: kinds.count,
    default: '1000',
    section: 'limits',
    describe: 'Subscriptions per channel',
    aliases: ['msu'],
    fileKeys: ['max_subscriptions', 'maxsubscriptions'],
  },
  'max-msgs': {
    kind: kinds.count,
    default: '1000000',
    section: 'limits',
    describe: 'Messages per channel; the oldest are removed',
    aliases: ['mm'],
    fileKeys: ['maxmsgs', 'max_count', 'maxcount'],
  },
  'max-bytes': {
    kind: kinds.size,
    default: '1000000*1024',
    section: 'limits',
    describe: 'Bytes per channel; the oldest messages are removed',
    aliases: ['mb'],
    fileKeys: ['maxbytes'],
  },
  'max-age': {
    kind: kinds.duration,
    default: '0',
    section: 'limits',
    describe: 'How long a message is kept',
    aliases: ['ma'],
    fileKeys: ['maxage'],
  },
  'max-inactivity': {
    kind: kinds.duration,
    default: '0',
    section: 'limits',
    describe:
      'Time without new messages and active subscriptions after which a channel is deleted, with its messages and offline durables',
    aliases: ['mi'],
    fileKeys: ['maxinactivity'],
  },
  'max-pending-bytes': {
    kind: kinds.size,
    default: '256MB',
    section: 'limits',
    describe: 'Bytes that may wait for the disk; beyond that publishers get an error',
  },

  'nats-server': {
    kind: kinds.urls,
    section: 'nats',
    describe: 'URLs, separated by commas: nats://host:4222 or tls://host:4222',
    aliases: ['ns'],
    fileKeys: ['nats_server_url'],
  },
  'nats-in-order': {
    kind: kinds.boolean,
    default: 'false',
    section: 'nats',
    describe: 'Connect to the first of them that can be reached, instead of to any',
  },
  user: {
    kind: kinds.text,
    section: 'nats',
    describe: 'User; for a nats-server that is started, the user that clients must have',
    fileKeys: ['username'],
  },
  pass: {
    kind: kinds.secret,
    section: 'nats',
    describe: 'Password of --user',
    fileKeys: ['password'],
  },
  auth: {
    kind: kinds.secret,
    section: 'nats',
    describe: 'Token; for a nats-server that is started, the token that clients must have',
    fileKeys: ['token'],
  },
  creds: {
    kind: kinds.secretPath,
    section: 'nats',
    describe: 'Credentials file (JWT and nkey)',
    fileKeys: ['credentials'],
  },
  nkey: {
    kind: kinds.secretPath,
    section: 'nats',
    describe: 'File with the seed of an nkey',
    aliases: ['nkey_seed_file'],
  },
  'tls-ca': {
    kind: kinds.path,
    section: 'nats',
    describe: 'CA certificate to check the servers with. Any of the --tls- options makes TLS required',
    aliases: ['tls_client_cacert'],
    fileKeys: ['tls.client_ca', 'tls.client_cacert', 'tls.ca'],
  },
  'tls-cert': {
    kind: kinds.path,
    section: 'nats',
    describe: "The broker's own certificate",
    aliases: ['tls_client_cert'],
    fileKeys: ['tls.client_cert', 'tls.cert'],
  },
  'tls-key': {
    kind: kinds.secretPath,
    section: 'nats',
    describe: "Private key of the broker's certificate",
    aliases: ['tls_client_key'],
    fileKeys: ['tls.client_key', 'tls.key'],
  },
  'tls-server-name': {
    kind: kinds.text,
    section: 'nats',
    describe: 'Name that the certificates of the servers must have, if it is not the one in the URL',
    fileKeys: ['tls.server_name', 'tls.server_hostname'],
  },
  secure: {
    kind: kinds.boolean,
    default: 'false',
    section: 'nats',
    describe: 'TLS without checking the certificates of the servers',
    aliases: ['tls-skip-verify'],
    fileKeys: ['tls.skip_verify', 'tls.insecure'],
  },

  addr: {
    kind: kinds.text,
    default: '0.0.0.0',
    section: 'natsServer',
    describe: 'Address to listen on',
    aliases: ['a', 'net'],
    fileKeys: ['host'],
  },
  port: {
    kind: kinds.port,
    default: '4222',
    section: 'natsServer',
    describe: 'Port for clients',
    aliases: ['p'],
  },
  cluster: {
    kind: kinds.url,
    section: 'natsServer',
    describe: 'URL to listen on for routes of other nats-servers',
    aliases: ['cluster_listen'],
  },
  'cluster-name': {
    kind: kinds.text,
    section: 'natsServer',
    describe: 'Name of the cluster of nats-servers',
  },
  routes: {
    kind: kinds.urls,
    section: 'natsServer',
    describe: 'URLs of other nats-servers to connect to, separated by commas',
  },
  'nats-config': {
    kind: kinds.path,
    section: 'natsServer',
    describe: 'Configuration file of the nats-server',
  },
  'nats-server-bin': {
    kind: kinds.path,
    default: 'nats-server',
    section: 'natsServer',
    describe: 'Program to start',
  },
  tls: {
    kind: kinds.boolean,
    section: 'natsServer',
    describe: 'TLS for clients, without checking their certificates',
    isHandedOn: true,
  },
  tlscert: {
    kind: kinds.path,
    section: 'natsServer',
    describe: 'Certificate of the nats-server',
    isHandedOn: true,
  },
  tlskey: {
    kind: kinds.secretPath,
    section: 'natsServer',
    describe: 'Private key of the nats-server',
    isHandedOn: true,
  },
  tlsverify: {
    kind: kinds.boolean,
    section: 'natsServer',
    describe: 'TLS for clients, checking their certificates',
    isHandedOn: true,
  },
  tlscacert: {
    kind: kinds.path,
    section: 'natsServer',
    describe: 'CA certificate to check clients with',
    isHandedOn: true,
  },
  'client-advertise': {
    kind: kinds.text,
    section: 'natsServer',
    describe: 'Address of this nats-server to advertise to clients',
    isHandedOn: true,
  },
  'cluster-advertise': {
    kind: kinds.text,
    section: 'natsServer',
    describe: 'Address of this nats-server to advertise to other nats-servers',
    isHandedOn: true,
  },
  'no-advertise': {
    kind: kinds.boolean,
    section: 'natsServer',
    describe: 'Do not advertise other nats-servers to clients',
    isHandedOn: true,
  },
  'connect-retries': {
    kind: kinds.count,
    section: 'natsServer',
    describe: 'How often to try routes that other nats-servers have advertised',
    isHandedOn: true,
  },

  config: {
    kind: kinds.path,
    section: 'process',
    describe:
      'File with any of these options, and limits of single channels, in YAML or JSON; or the configuration file of a Go server',
    aliases: ['c'],
  },
  'stan-config': {
    kind: kinds.path,
    section: 'process',
    describe: 'Same as --config. With both, as in the Go server, --config names the file of the nats-server',
    aliases: ['sc'],
  },
  'node-name': {
    kind: kinds.subject,
    section: 'process',
    describe: 'Name of this broker [default: the name of the machine]',
    aliases: ['name', 'n', 'server_name'],
  },
  'http-port': {
    kind: kinds.portOrOff,
    default: 'off',
    section: 'process',
    describe: 'Port for health, metrics and monitoring',
    aliases: ['m'],
  },
  'http-addr': {
    kind: kinds.text,
    default: '127.0.0.1',
    section: 'process',
    describe: 'Address to listen on; 0.0.0.0 is all. Anyone who can reach it has read-only access',
  },
  'http-allowed-hosts': {
    kind: kinds.hosts,
    section: 'process',
    describe:
      'Names under which HTTP is asked for, beside addresses and names that no web site can have: *.example.com, or * for any',
  },
  'http-tls-cert': {
    kind: kinds.path,
    section: 'process',
    describe: 'Certificate for HTTPS instead of HTTP; read again when it changes',
  },
  'http-tls-key': {
    kind: kinds.secretPath,
    section: 'process',
    describe: 'Private key of the HTTPS certificate',
  },
  'http-user': {
    kind: kinds.text,
    section: 'process',
    describe: 'User that HTTP requests must have; /livez, /healthz and /readyz stay open',
  },
  'http-pass': {
    kind: kinds.secret,
    section: 'process',
    describe: 'Password of --http-user; better in STANCHION_HTTP_PASS or the config file',
  },
  'http-token': {
    kind: kinds.secret,
    section: 'process',
    describe:
      'Bearer token that HTTP accepts, also beside --http-user; better in STANCHION_HTTP_TOKEN or the config file',
  },
  'metrics-max-channels': {
    kind: kinds.count,
    default: '1000',
    section: 'process',
    describe:
      'How many channels have series of their own in /metrics, those with durables or queue groups first; 0 is none',
  },
  pid: {
    kind: kinds.path,
    section: 'process',
    describe: 'File to write the process id to',
    aliases: ['P'],
    fileKeys: ['pid_file'],
  },
  'log-level': {
    kind: kinds.oneOf(LOG_LEVELS),
    default: 'info',
    section: 'process',
    describe: 'Lowest level to log',
  },
  'log-format': {
    kind: kinds.oneOf(LOG_FORMATS),
    section: 'process',
    describe: 'Format of the log [default: pretty on a terminal, else json]',
  },
  'log-file': {
    kind: kinds.path,
    section: 'process',
    describe: 'File to append the log to, instead of standard output',
    aliases: ['l', 'log'],
  },
  logtime: {
    kind: kinds.boolean,
    default: 'true',
    section: 'process',
    describe: 'Log the time of each entry',
    aliases: ['T', 'log-time'],
  },
  debug: {
    kind: kinds.boolean,
    default: 'false',
    section: 'process',
    describe: 'Same as --log-level debug',
    aliases: ['D', 'SD', 'stan_debug'],
    fileKeys: ['sd'],
  },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

type ValueOf<O> = O extends { kind: kinds.Kind<infer T> }
  ? O extends { default: string }
    ? T
    : T | undefined
  : never;

/** The value of every option. */
export type OptionValues = { -readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** The options that name a config file. None of them can be in one. */
export const CONFIG_FILE_OPTIONS: readonly OptionName[] = ['config', 'stan-config'];

export function optionOf(name: OptionName): Option {
  return OPTIONS[name];
}

/** Every name of the flag, without dashes. The first is its own. */
export function flagNames(name: OptionName): string[] {
  const own = [name, ...(optionOf(name).aliases ?? [])];
  return [...new Set(own.flatMap((each) => [each, snake(each), kebab(each)]))];
}

export function environmentName(name: OptionName): string {
  return `STANCHION_${snake(name).toUpperCase()}`;
}

export function snake(name: string): string {
  return name.replaceAll('-', '_');
}

export function kebab(name: string): string {
  return name.replaceAll('_', '-');
}
