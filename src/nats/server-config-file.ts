// Finds out from the configuration file of a nats-server what stanchion must not set too: users, monitoring pages.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MAX_INCLUDES = 100;
/** A token: quoted text, a bracket, a separator of settings, a word (a URL is one), or a comment. */
const TOKEN = /"(?:\\.|[^"\\])*"|'[^']*'|[{}[\]\n,;]|#.*|\/\/.*|[^\s{}[\],;="'#]+/g;
/** The settings for monitoring pages. If a file has several, the server uses any of them. */
const MONITORING = new Set(['http', 'https', 'http_port', 'https_port', 'monitor_port']);

const OPERATORS = new Set(['operator', 'operators', 'root', 'roots', 'root_operator', 'root_operators']);

/** A setting in a configuration file. */
interface Setting {
  /** The names of the blocks around it, outermost first: in lower case, '' for a block without a name. The walk changes this array. */
  readonly place: readonly string[];
  /** In lower case. */
  readonly name: string;
  readonly isList: boolean;
  /** The variable that is its value, in lower case: `users: $STAFF`. */
  readonly variable: string | undefined;
}

/**
 * Whether a configuration file of a nats-server, with its includes, has a list of users for clients: in `authorization`, or in an
 * account. Users for leaf nodes or routes do not count.
 */
export function hasClientUsers(configFile: string): boolean {
  const aliases = aliasesOf(configFile);
  for (const { place, name, isList, variable } of settingsOf(configFile)) {
    if (name === 'users' && (isList || variable !== undefined) && isForClients(place, aliases)) return true;
  }
  return false;
}

/** Whether the configuration file is in operator mode, in which clients log in with JWTs only. */
export function isInOperatorMode(configFile: string): boolean {
  for (const { place, name } of settingsOf(configFile)) {
    if (OPERATORS.has(name) && place.every((block) => block === '')) return true;
  }
  return false;
}

/**
 * Whether a configuration file of a nats-server, with its includes, configures the monitoring pages. In doubt, as with the setting in
 * a block where the server does not expect it, the answer is yes: two settings would contradict each other.
 */
export function setsMonitoring(configFile: string): boolean {
  for (const { name } of settingsOf(configFile)) {
    if (MONITORING.has(name)) return true;
  }
  return false;
}

/** Whether a configuration file of a nats-server, with its includes, has a block about routes. */
export function setsCluster(configFile: string): boolean {
  for (const { place, name } of settingsOf(configFile)) {
    if (name === 'cluster' && place.every((block) => block === '')) return true;
  }
  return false;
}

/** Whether a block has the users for clients. A file in JSON has a block without a name around everything. */
function isForClients(place: readonly string[], aliases: ReadonlyMap<string, string>): boolean {
  const [first = '', ...inner] = place.filter((name) => name !== '');
  const outermost = aliases.get(first) ?? first;
  return outermost === 'accounts' || (outermost === 'authorization' && inner.length === 0);
}

/** The variables that stand for `authorization`, or for a part of `accounts`: the block by the name of the variable. */
function aliasesOf(configFile: string): ReadonlyMap<string, string> {
  const aliases = new Map<string, string>();
  // A variable may be used inside the value of another one, which is defined after it: repeat until no more are found.
  for (let before = -1; before < aliases.size; ) {
    before = aliases.size;
    for (const { place, name, variable } of settingsOf(configFile)) {
      if (variable === undefined) continue;
      const [first = name] = place.filter((block) => block !== '');
      const outermost = aliases.get(first) ?? first;
      if (outermost === 'accounts' || (name === 'authorization' && first === name))
        aliases.set(variable, outermost);
    }
  }
  return aliases;
}

/** All settings of a file and its includes, in order. A file that cannot be read has none: the server will report it. */
function settingsOf(configFile: string): Generator<Setting> {
  return walk(configFile, [], { left: MAX_INCLUDES });
}

/** @param place the blocks around the include; the walk restores it */
function* walk(file: string, place: string[], files: { left: number }): Generator<Setting> {
  const outside = place.length;
  /** The open brackets of this file. */
  const open: string[] = [];
  /** The name of a setting that has no value yet. */
  let name: string | undefined;
  let isIncluding = false;
  /** Whether a setting is complete: words up to the next separator are no names. */
  let isOver = false;
  for (const [token] of textOf(file).matchAll(TOKEN)) {
    if (/^(#|\/\/)/.test(token)) continue;
    if (token === '{' || token === '[') {
      if (name !== undefined) yield { place, name, isList: token === '[', variable: undefined };
      place.push(name ?? '');
      open.push(token);
      name = undefined;
      isOver = false;
    } else if (token === '}' || token === ']') {
      if (open.pop() !== undefined) place.pop();
      name = undefined;
      isOver = false;
    } else if (/^[\n,;]$/.test(token)) {
      // A value may stand on the line after its name.
      if (token !== '\n') name = undefined;
      isOver = false;
    } else if (open.at(-1) !== '[' && !isOver) {
      const isQuoted = /^["']/.test(token);
      let value = isQuoted ? token.slice(1, -1) : token;
      if (name === undefined) {
        // `name:value` is a single token.
        const end = isQuoted || !value.includes(':') ? value.length : value.indexOf(':');
        name = value.slice(0, end).toLowerCase();
        isIncluding = name === 'include' && !isQuoted;
        value = value.slice(end + 1);
      } else if (!isQuoted) value = value.replace(/^:/, '');
      if (value === '') continue;
      if (isIncluding) {
        if (files.left-- > 0) yield* walk(join(dirname(file), value), place, files);
      } else {
        const isVariable = !isQuoted && value.startsWith('$');
        yield { place, name, isList: false, variable: isVariable ? value.slice(1).toLowerCase() : undefined };
      }
      name = undefined;
      isOver = true;
    }
  }
  place.length = outside;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
