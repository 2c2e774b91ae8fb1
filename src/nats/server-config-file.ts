import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MAX_INCLUDES = 100;
/** Texts in quotes, brackets, what separates settings, words (a URL is one), comments. */
const TOKEN = /"(?:\\.|[^"\\])*"|'[^']*'|[{}[\]\n,;]|#.*|\/\/.*|[^\s{}[\],;="'#]+/g;
/** Where monitoring pages are. A server takes several, and one that has two takes any. */
const MONITORING = new Set(['http', 'https', 'http_port', 'https_port', 'monitor_port']);

const OPERATORS = new Set(['operator', 'operators', 'root', 'roots', 'root_operator', 'root_operators']);

/** Something that a configuration file gives a value to. */
interface Setting {
  /** Names of the blocks around, from outside: lower case, '' for one without a name. It changes as the walk goes on. */
  readonly place: readonly string[];
  /** In lower case. */
  readonly name: string;
  readonly isList: boolean;
  /** The name of the variable that it is given, in lower case: `users: $STAFF`. */
  readonly variable: string | undefined;
}

/**
 * Whether a configuration file of a nats-server, with what it includes, has a list of users for clients: in `authorization`, or in an
 * account. Those for leaf nodes or routes are others.
 */
export function hasClientUsers(configFile: string): boolean {
  const aliases = aliasesOf(configFile);
  for (const { place, name, isList, variable } of settingsOf(configFile)) {
    if (name === 'users' && (isList || variable !== undefined) && isForClients(place, aliases)) return true;
  }
  return false;
}

/** Whether it is in operator mode: clients log in with JWTs alone. */
export function isInOperatorMode(configFile: string): boolean {
  for (const { place, name } of settingsOf(configFile)) {
    if (OPERATORS.has(name) && place.every((block) => block === '')) return true;
  }
  return false;
}

/**
 * Whether a configuration file of a nats-server, with what it includes, says where the monitoring pages are. In doubt, as in a block
 * where a server has no such setting, it does: two of them contradict each other.
 */
export function setsMonitoring(configFile: string): boolean {
  for (const { name } of settingsOf(configFile)) {
    if (MONITORING.has(name)) return true;
  }
  return false;
}

/** A file in JSON has a block without a name around all. */
function isForClients(place: readonly string[], aliases: ReadonlyMap<string, string>): boolean {
  const [first = '', ...inner] = place.filter((name) => name !== '');
  const outermost = aliases.get(first) ?? first;
  return outermost === 'accounts' || (outermost === 'authorization' && inner.length === 0);
}

/** Variables that stand for `authorization`, or for something in `accounts`: by their names, what they stand for. */
function aliasesOf(configFile: string): ReadonlyMap<string, string> {
  const aliases = new Map<string, string>();
  // A variable may stand for something in what another one stands for, and is defined in front of it.
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

/** All settings of a file and those that it includes, in their order. A file that cannot be read has none: the server will say so. */
function settingsOf(configFile: string): Generator<Setting> {
  return walk(configFile, [], { left: MAX_INCLUDES });
}

/** @param place where the file is included; it is left as it was */
function* walk(file: string, place: string[], files: { left: number }): Generator<Setting> {
  const outside = place.length;
  /** The brackets that are open in this file. */
  const open: string[] = [];
  /** Of the setting that has no value yet. */
  let name: string | undefined;
  let isIncluding = false;
  /** What follows a value, up to the next separator, is no name. */
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
      // A value may be on the line after its name.
      if (token !== '\n') name = undefined;
      isOver = false;
    } else if (open.at(-1) !== '[' && !isOver) {
      const isQuoted = /^["']/.test(token);
      let value = isQuoted ? token.slice(1, -1) : token;
      if (name === undefined) {
        // `name:value` is one word.
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
