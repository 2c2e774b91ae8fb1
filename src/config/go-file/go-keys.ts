// The table of the Go server's configuration file: every key of its `streaming` block, and the keys of its NATS part that stanchion has
// to know. docs/go-configuration.md has it too.

import { goFlag } from '../go-flags.js';
import type { OptionName } from '../options.js';

/** What the Go server expects as the value. */
export type GoType = 'text' | 'whole number' | 'true or false' | 'duration' | 'list' | 'map';

/** What becomes of a key. */
export type GoOutcome =
  /** It is an option of stanchion. */
  | { readonly is: 'option'; readonly option: OptionName }
  /** It is an option, and what it also does in the Go server has no effect. */
  | { readonly is: 'less'; readonly option: OptionName; readonly why: string }
  /** It is a port, or an address with a port. */
  | { readonly is: 'address'; readonly host: OptionName; readonly port: OptionName }
  /** It has keys of its own, or names of channels. */
  | { readonly is: 'section' }
  /** It cannot be honoured, unless its value asks for nothing. */
  | { readonly is: 'refused'; readonly why: string }
  /** It has no effect, and going on without it is safe. */
  | { readonly is: 'noted'; readonly why: string };

export interface GoKey {
  /** Its names in lower case, that of the Go server's reference first. */
  readonly names: readonly string[];
  readonly type: GoType;
  readonly outcome: GoOutcome;
}

/** A part of the file that has keys of its own. */
export type GoSection =
  | 'streaming'
  | 'tls'
  | 'store_limits'
  | 'channel'
  | 'file_options'
  | 'sql_options'
  | 'cluster'
  | 'nats'
  | 'authorization';

const noted = (why: string): GoOutcome => ({ is: 'noted', why });
const refused = (why: string): GoOutcome => ({ is: 'refused', why });
const SECTION: GoOutcome = { is: 'section' };

const to = (type: GoType, option: OptionName, ...names: string[]): GoKey => ({
  names,
  type,
  outcome: { is: 'option', option },
});
const key = (type: GoType, outcome: GoOutcome, ...names: string[]): GoKey => ({ names, type, outcome });

/** The answer that the flag of the same meaning gets. */
const RAFT = goFlag('clustered').why;
const ENCRYPTION = goFlag('encrypt').why;
const TUNES = goFlag('file_compact_enabled').why;
const SLICES = goFlag('file_slice_max_msgs').why;
const SQL = 'only a SQL store has it, and there is none here';

/** The limits that a single channel can have too. */
const CHANNEL_LIMITS: readonly GoKey[] = [
  to('whole number', 'max-subs', 'max_subs', 'msu', 'max_subscriptions', 'maxsubscriptions'),
  to('whole number', 'max-msgs', 'max_msgs', 'mm', 'maxmsgs', 'max_count', 'maxcount'),
  to('whole number', 'max-bytes', 'max_bytes', 'mb', 'maxbytes'),
  to('duration', 'max-age', 'max_age', 'ma', 'maxage'),
  to('duration', 'max-inactivity', 'max_inactivity', 'mi', 'maxinactivity'),
];

export const CHANNELS_KEY = key(
  'map',
  SECTION,
  'channels',
  'channels_limits',
  'channelslimits',
  'per_channel',
  'per_channel_limits',
);

/** The keys of each part of the file, in the order of the Go server's reference. */
export const GO_KEYS: Readonly<Record<GoSection, readonly GoKey[]>> = {
  streaming: [
    to('text', 'cluster-id', 'cluster_id', 'id', 'cid'),
    to('text', 'discover-prefix', 'discover_prefix'),
    to('text', 'store', 'store', 'store_type', 'st', 'storetype'),
    to('text', 'dir', 'dir', 'datastore'),
    to('true or false', 'debug', 'sd', 'stan_debug'),
    key('true or false', { is: 'less', option: 'debug', why: goFlag('stan_trace').why }, 'sv', 'stan_trace'),
    to('text', 'nats-server', 'nats_server_url', 'nats_server', 'ns'),
    to('true or false', 'secure', 'secure'),
    key('map', SECTION, 'tls'),
    key('map', SECTION, 'store_limits', 'limits', 'storelimits'),
    key('map', SECTION, 'file_options', 'file'),
    key('map', SECTION, 'sql_options', 'sql'),
    to('duration', 'hb-interval', 'hb_interval', 'hbi', 'server_to_client_hb_interval'),
    to('duration', 'hb-timeout', 'hb_timeout', 'hbt', 'server_to_client_hb_timeout'),
    to('whole number', 'hb-fail-count', 'hb_fail_count', 'hbf', 'server_to_client_hb_fail_count'),
    to('text', 'ft-group', 'ft_group_name', 'ft_group'),
    key('true or false', refused(goFlag('partitioning').why), 'partitioning'),
    key('map', refused(RAFT), 'cluster'),
    key('text', noted('it names the log of syslog, which is not used'), 'syslog_name'),
    key('true or false', refused(ENCRYPTION), 'encrypt'),
    key('text', noted('only an encrypted store has a cipher'), 'encryption_cipher'),
    key('text', refused(ENCRYPTION), 'encryption_key'),
    to('text', 'creds', 'credentials'),
    to('text', 'user', 'username', 'user'),
    to('text', 'pass', 'password', 'pass'),
    to('text', 'auth', 'token'),
    to('text', 'nkey', 'nkey_seed_file'),
    to(
      'true or false',
      'replace-durable',
      'replace_durable',
      'replace_durables',
      'replace_duplicate_durable',
      'replace_duplicate_durables',
    ),
  ],
  tls: [
    to('text', 'tls-cert', 'client_cert'),
    to('text', 'tls-key', 'client_key'),
    to('text', 'tls-ca', 'client_ca', 'client_cacert'),
    to('text', 'tls-server-name', 'server_name', 'server_hostname'),
    to('true or false', 'secure', 'skip_verify', 'insecure'),
    // It is no key of the Go server, which ignores it. The chart `stan` writes it.
    key('whole number', noted('the Go server does not know it either'), 'timeout'),
  ],
  store_limits: [
    to('whole number', 'max-channels', 'max_channels', 'mc', 'maxchannels'),
    ...CHANNEL_LIMITS,
    CHANNELS_KEY,
  ],
  channel: CHANNEL_LIMITS,
  file_options: [
    key('true or false', noted(TUNES), 'compact_enabled', 'compact'),
    key('whole number', noted(TUNES), 'compact_frag', 'compact_fragmentation'),
    key('whole number', noted(TUNES), 'compact_interval'),
    key('whole number', noted(TUNES), 'compact_min_size'),
    key('whole number', noted(TUNES), 'buffer_size'),
    key('true or false', noted(goFlag('file_crc').why), 'crc', 'do_crc'),
    key('whole number', noted(TUNES), 'crc_poly'),
    to('true or false', 'file-sync', 'sync_on_flush', 'sync', 'do_sync'),
    key('whole number', noted(SLICES), 'slice_max_msgs', 'slice_max_count', 'slice_msgs', 'slice_count'),
    key('whole number', noted(SLICES), 'slice_max_bytes', 'slice_max_size', 'slice_bytes', 'slice_size'),
    key('duration', noted(SLICES), 'slice_max_age', 'slice_age', 'slice_max_time', 'slice_time_limit'),
    key(
      'text',
      refused(goFlag('file_slice_archive_script').why),
      'slice_archive_script',
      'slice_archive',
      'slice_script',
    ),
    key('whole number', noted(TUNES), 'fds_limit', 'file_descriptors_limit'),
    key('whole number', noted(TUNES), 'parallel_recovery'),
    key('whole number', noted(TUNES), 'read_buffer_size', 'file_read_buffer_size'),
    key('duration', noted(goFlag('file_auto_sync').why), 'auto_sync', 'file_auto_sync'),
  ],
  sql_options: [
    key('text', noted(SQL), 'driver'),
    key('text', noted(SQL), 'source'),
    key('true or false', noted(SQL), 'no_caching'),
    key('whole number', noted(SQL), 'max_open_conns', 'max_conns'),
    key('whole number', noted(SQL), 'bulk_insert_limit'),
  ],
  cluster: [
    key('text', refused(RAFT), 'node_id'),
    key('true or false', refused(RAFT), 'bootstrap'),
    key('list', refused(RAFT), 'peers'),
    key('text', refused(RAFT), 'log_path'),
    key('whole number', refused(RAFT), 'log_cache_size'),
    key('whole number', refused(RAFT), 'log_snapshots'),
    key('whole number', refused(RAFT), 'trailing_logs'),
    key('true or false', refused(RAFT), 'sync'),
    key('true or false', refused(RAFT), 'proceed_on_restore_failure'),
    key('true or false', refused(RAFT), 'allow_add_remove_node'),
    key('true or false', refused(RAFT), 'raft_logging'),
    key('duration', refused(RAFT), 'raft_heartbeat_timeout'),
    key('duration', refused(RAFT), 'raft_election_timeout'),
    key('duration', refused(RAFT), 'raft_lease_timeout'),
    key('duration', refused(RAFT), 'raft_commit_timeout'),
    key('true or false', refused(RAFT), 'bolt_free_list_sync'),
    key('true or false', refused(RAFT), 'bolt_free_list_map'),
    key('true or false', refused(RAFT), 'nodes_connections'),
  ],
  nats: [
    to('whole number', 'port', 'port'),
    to('text', 'addr', 'host', 'net'),
    key('text', { is: 'address', host: 'addr', port: 'port' }, 'listen'),
    key('text', { is: 'address', host: 'http-addr', port: 'http-port' }, 'http', 'http_port', 'monitor_port'),
    key('text', refused(goFlag('https_port').why), 'https', 'https_port'),
    key('text', refused('the pages are at the top: leave it out'), 'http_base_path'),
    to('text', 'node-name', 'server_name'),
    to('true or false', 'debug', 'debug'),
    to('true or false', 'logtime', 'logtime'),
    to('text', 'log-file', 'log_file', 'logfile'),
    key('whole number', refused(goFlag('log_size_limit').why), 'log_size_limit', 'logfile_size_limit'),
    key('whole number', noted('log files are not rotated'), 'log_max_num', 'logfile_max_num'),
    key('true or false', refused(goFlag('syslog').why), 'syslog'),
    key('text', refused(goFlag('remote_syslog').why), 'remote_syslog'),
    to('text', 'pid', 'pid_file', 'pidfile'),
    key('text', refused(goFlag('ports_file_dir').why), 'ports_file_dir'),
    key('whole number', refused(goFlag('profile').why), 'prof_port'),
    key('map', SECTION, 'authorization'),
  ],
  authorization: [
    to('text', 'user', 'user', 'username'),
    to('text', 'pass', 'password', 'pass'),
    to('text', 'auth', 'token'),
  ],
};

/** Every name of the keys of a part, in lower case. */
export function keysByName(section: GoSection): ReadonlyMap<string, GoKey> {
  let names = byName.get(section);
  if (names === undefined) {
    names = new Map(GO_KEYS[section].flatMap((each) => each.names.map((name) => [name, each])));
    byName.set(section, names);
  }
  return names;
}

const byName = new Map<GoSection, ReadonlyMap<string, GoKey>>();
