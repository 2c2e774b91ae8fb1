// The part of a Go server's configuration file that is for the nats-server: everything beside the `streaming` block, without what
// stanchion does itself.

import { relative, resolve } from 'node:path';
import { isMap, type NatsFile, type NatsMap } from '../nats-syntax/node.js';
import type { GoFileUse } from '../serve-config.js';
import { keysByName } from './go-keys.js';

export const STREAMING = 'streaming';

/** What the nats-server would do too: it would take the port of stanchion's HTTP, or write a log or a pid of its own. */
const OWN = new Set([
  'http',
  'http_port',
  'monitor_port',
  'https',
  'https_port',
  'http_base_path',
  'logtime',
  'log_file',
  'logfile',
  'log_size_limit',
  'logfile_size_limit',
  'log_max_num',
  'logfile_max_num',
  'syslog',
  'remote_syslog',
  'pid_file',
  'pidfile',
  'ports_file_dir',
  'prof_port',
]);

/** What a nats-server knows at the top of its file, and the Go server's `streaming` block too. */
const SHARED = new Set(['tls', 'cluster']);

/** More that a nats-server knows at the top of its file. Anything else is a value for variables. */
const KNOWN = new Set(
  `listen client_advertise port server_name host net debug trace trace_verbose trace_headers logtime_utc mappings maps
  disable_sublist_cache no_sublist_cache accounts default_sentinel authorization cluster gateway leaf leafnodes store_dir storedir
  jetstream prof_block_rate max_control_line max_payload max_pending proxy_protocol max_connections max_conn max_traced_msg_len
  max_subscriptions max_subs max_sub_tokens max_subscription_tokens ping_interval ping_max tls ocsp allow_non_tls write_deadline
  write_timeout lame_duck_duration lame_duck_grace_period operator operators roots root root_operators root_operator resolver
  account_resolver accounts_resolver resolver_tls resolver_preload resolver_pinned_accounts no_auth_user system_account system
  no_system_account no_system no_sys_acc no_header_support trusted trusted_keys connect_error_reports reconnect_error_reports websocket
  ws mqtt server_tags server_metadata feature_flags default_js_domain ocsp_cache no_fast_producer_stall max_closed_clients proxies`.split(
    /\s+/,
  ),
);

/** Whether a nats-server knows a name at the top of its file. */
export function isKnownToNats(name: string): boolean {
  return KNOWN.has(name.toLowerCase()) || OWN.has(name.toLowerCase());
}

/** What stanchion reads: the `streaming` block, or the whole file if there is none, as in the Go server. */
export function streamingOf({ entries }: NatsFile): { map: NatsMap; hasBlock: boolean } | undefined {
  const blocks = [...entries.values()].filter(({ name }) => name.toLowerCase() === STREAMING);
  const block = blocks.at(-1);
  if (block === undefined) return { map: entries, hasBlock: false };
  return isMap(block.value) ? { map: block.value, hasBlock: true } : undefined;
}

/** The names at the top of the file that the nats-server gets. */
export function natsNamesOf(file: NatsFile, use: GoFileUse = 'both'): string[] {
  const cut = cutNames(file, use);
  return [...file.entries.keys()].filter((name) => !cut.has(name));
}

/** The names at the top of the file that the nats-server does not get. */
function cutNames(file: NatsFile, use: GoFileUse): ReadonlySet<string> {
  const hasBlock = use === 'nats' || (streamingOf(file)?.hasBlock ?? true);
  const ofStreaming = keysByName('streaming');
  const cut = new Set<string>();
  for (const [given, entry] of file.entries) {
    const name = given.toLowerCase();
    const isStreaming = hasBlock
      ? name === STREAMING
      : ofStreaming.has(name) && !isForBoth(name, entry.value);
    if (isStreaming || OWN.has(name)) cut.add(given);
  }
  // A value that only they refer to is unknown to the nats-server, which would refuse it.
  for (let before = -1; before < cut.size; ) {
    before = cut.size;
    for (const [name, { users }] of file.entries) {
      const isValue = users.size > 0 && !KNOWN.has(name.toLowerCase());
      if (isValue && [...users].every((user) => cut.has(user))) cut.add(name);
    }
  }
  return cut;
}

/** Whether a key of a file without a `streaming` block is also for the nats-server. */
function isForBoth(name: string, value: unknown): boolean {
  if (!SHARED.has(name) || !(value instanceof Map)) return false;
  const own = keysByName(name === 'tls' ? 'tls' : 'cluster');
  return [...value.keys()].some((key) => !own.has(String(key).toLowerCase()));
}

/**
 * The text of a file with what the nats-server does not get blanked out, so that its errors have the right lines. An include gets a path
 * that is right in another folder; if something of it must go, its text takes its place.
 *
 * @param folder where the text will be
 */
export function natsTextOf(file: NatsFile, folder: string, use: GoFileUse = 'both'): string {
  return textWithout(file, cutNames(file, use), folder);
}

function textWithout(file: NatsFile, cut: ReadonlySet<string>, folder: string): string {
  const { text, statements } = file;
  let result = '';
  let position = 0;
  for (const statement of statements) {
    const { start, end } = statement;
    result += text.slice(position, start);
    position = end;
    if (statement.kind === 'include') {
      const ends = /[;,]$/.exec(text.slice(start, end))?.[0] ?? '';
      result += hasAny(statement.file, cut)
        ? `\n${textWithout(statement.file, cut, folder)}\n`
        : `include ${pathIn(folder, statement.file.path)}${ends}`;
    } else {
      result += cut.has(statement.name)
        ? text.slice(start, end).replace(/[^\n\r]/g, ' ')
        : withPaths(file, start, end, folder);
    }
  }
  return result + text.slice(position);
}

/** A piece of a file's text whose includes have paths that are right in another folder. */
function withPaths({ text, includes }: NatsFile, start: number, end: number, folder: string): string {
  let result = '';
  let position = start;
  for (const include of includes) {
    if (include.start < start || include.end > end) continue;
    result += text.slice(position, include.start) + pathIn(folder, include.path);
    position = include.end;
  }
  return result + text.slice(position, end);
}

function hasAny(file: NatsFile, cut: ReadonlySet<string>): boolean {
  return file.statements.some((each) =>
    each.kind === 'include' ? hasAny(each.file, cut) : cut.has(each.name),
  );
}

/** The path of an include in a file that lies in another folder. It has no escapes. */
function pathIn(folder: string, file: string): string {
  const path = relative(resolve(folder), resolve(file));
  return path.includes('"') ? `'${path}'` : `"${path}"`;
}
