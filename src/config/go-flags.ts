// The flags of the Go servers that have no use here, and the answer to each.

import { must } from '../util/assert.js';
import type { OptionName } from './options.js';

/** A flag of the Go servers that stanchion has no use for. */
export interface GoFlag {
  /** Its names, without dashes. */
  readonly names: readonly string[];
  readonly isSwitch?: true;
  /** A flag is refused if people count on its effect. It is noted, with a warning, if going on without it is safe. */
  readonly treatment: 'refused' | 'noted';
  /** Why it has no use, and what to do instead. */
  readonly why: string;
  /** A switch of stanchion that it turns on. */
  readonly sets?: OptionName;
}

const RAFT =
  'there is no Raft clustering here. Several brokers on one shared store take its place: --ft-group';
export const SQL =
  'there is no SQL store. Use --store file --dir FOLDER, with what `stanchion import --from postgres://...` or mysql:// has brought along';
const ENCRYPTION = 'the store is not encrypted. Put --dir on an encrypted file system (LUKS, fscrypt)';
const SYSLOG =
  'the log goes to standard output: leave it to systemd or the container runtime, or pipe it to logger(1)';
const SLICES =
  'segments are cut by size, and removed as limits drop their messages. Which messages those are does not depend on it';
const OWN_FORMAT = "it tunes the Go server's files; the store here has its own format";
const TRACE = 'the raw protocol is not traced. `trace: true` in --nats-config traces that of the nats-server';

/** The answer to an option that nats-server takes from its own file. */
const NATS_CONFIG = 'set it in a configuration file of nats-server, and name that with --nats-config';

export const GO_FLAGS: readonly GoFlag[] = [
  {
    names: ['partitioning'],
    isSwitch: true,
    treatment: 'refused',
    why: 'channels are not partitioned. Give each broker a --cluster-id',
  },

  { names: ['clustered'], isSwitch: true, treatment: 'refused', why: RAFT },
  { names: ['cluster_bootstrap'], isSwitch: true, treatment: 'refused', why: RAFT },
  { names: ['cluster_sync'], isSwitch: true, treatment: 'refused', why: RAFT },
  { names: ['cluster_raft_logging'], isSwitch: true, treatment: 'refused', why: RAFT },
  { names: ['cluster_allow_add_remove_node'], isSwitch: true, treatment: 'refused', why: RAFT },
  { names: ['cluster_proceed_on_restore_failure'], isSwitch: true, treatment: 'refused', why: RAFT },
  ...[
    'cluster_node_id',
    'cluster_peers',
    'cluster_log_path',
    'cluster_log_cache_size',
    'cluster_log_snapshots',
    'cluster_trailing_logs',
  ].map((name): GoFlag => ({ names: [name], treatment: 'refused', why: RAFT })),

  { names: ['sql_no_caching'], isSwitch: true, treatment: 'refused', why: SQL },
  ...['sql_driver', 'sql_source', 'sql_max_open_conns', 'sql_bulk_insert_limit', 'sql', 'sql_options'].map(
    (name): GoFlag => ({ names: [name], treatment: 'refused', why: SQL }),
  ),

  { names: ['encrypt'], isSwitch: true, treatment: 'refused', why: ENCRYPTION },
  { names: ['encryption_cipher'], treatment: 'refused', why: ENCRYPTION },
  { names: ['encryption_key'], treatment: 'refused', why: ENCRYPTION },

  { names: ['syslog', 's'], isSwitch: true, treatment: 'refused', why: SYSLOG },
  { names: ['remote_syslog', 'r'], treatment: 'refused', why: SYSLOG },
  { names: ['syslog_name'], treatment: 'refused', why: SYSLOG },
  {
    names: ['log_size_limit'],
    treatment: 'refused',
    why: 'log files are not rotated. Use logrotate, which sends SIGUSR1 for a new file',
  },

  ...['file_slice_max_msgs', 'file_slice_max_bytes', 'file_slice_max_age'].map(
    (name): GoFlag => ({ names: [name], treatment: 'noted', why: SLICES }),
  ),
  {
    names: ['file_slice_archive_script'],
    treatment: 'refused',
    why: 'no script is run for removed segments. Subscribe, and write the messages to be kept elsewhere',
  },
  {
    names: ['file_auto_sync'],
    treatment: 'noted',
    why: 'with --file-sync every batch is synced before its acks; without it only checkpoints are synced',
  },
  {
    names: ['file_truncate_bad_eof'],
    isSwitch: true,
    treatment: 'noted',
    why: 'a torn tail, which was never acknowledged, is always cut and logged; other damage is never cut',
  },
  { names: ['file_crc'], isSwitch: true, treatment: 'noted', why: 'every record has a CRC' },
  { names: ['file_compact_enabled'], isSwitch: true, treatment: 'noted', why: OWN_FORMAT },
  ...[
    'file_crc_poly',
    'file_compact_frag',
    'file_compact_interval',
    'file_compact_min_size',
    'file_buffer_size',
    'file_read_buffer_size',
    'file_fds_limit',
    'file_parallel_recovery',
  ].map((name): GoFlag => ({ names: [name], treatment: 'noted', why: OWN_FORMAT })),
  ...['io_batch_size', 'io_sleep_time'].map(
    (name): GoFlag => ({
      names: [name],
      treatment: 'noted',
      why: 'a batch holds all messages that come while the disk is busy',
    }),
  ),

  {
    names: ['stan_trace', 'SV', 'sv', 'trace', 'V', 'VV'],
    isSwitch: true,
    treatment: 'noted',
    why: TRACE,
    sets: 'debug',
  },
  { names: ['SDV', 'DV', 'DVV'], isSwitch: true, treatment: 'noted', why: TRACE, sets: 'debug' },
  { names: ['max_traced_msg_len'], treatment: 'noted', why: TRACE },

  { names: ['signal', 'sl'], treatment: 'refused', why: 'use kill -TERM with the id in the --pid file' },
  {
    names: ['https_port', 'ms'],
    treatment: 'refused',
    why: 'HTTPS needs a certificate of its own. Use --http-port with --http-tls-cert and --http-tls-key',
  },
  { names: ['profile'], treatment: 'refused', why: 'use node --cpu-prof' },
  { names: ['ports_file_dir'], treatment: 'refused', why: 'choose ports with --port and --http-port' },
  { names: ['jetstream', 'js'], isSwitch: true, treatment: 'refused', why: NATS_CONFIG },
  { names: ['store_dir', 'sd'], treatment: 'refused', why: NATS_CONFIG },
  { names: ['help_tls'], isSwitch: true, treatment: 'refused', why: 'see the --tls options in --help' },
];

/** Whether the value turns the flag off in the Go servers. */
export function asksForNothing(value: string): boolean {
  return ['', '0', '0s', 'false', 'f'].includes(value.toLowerCase());
}

/** The flag of this name. */
export function goFlag(name: string): GoFlag {
  return must(
    GO_FLAGS.find(({ names }) => names.includes(name)),
    `the Go servers have a flag -${name}`,
  );
}
