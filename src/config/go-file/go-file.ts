// Reads a Go server's configuration file, and makes options of stanchion of it.

import { didYouMean } from '../../util/suggest.js';
import type { RawValue } from '../argv.js';
import type { ChannelLimits } from '../channel-limits.js';
import { ConfigError } from '../config-error.js';
import type { ConfigFile } from '../config-file.js';
import { asksForNothing, SQL } from '../go-flags.js';
import { channelLimit, type Kind, shownValue } from '../kinds.js';
import { CHANNEL_LIMIT_OPTIONS, type ChannelRule, isPatternValid } from '../limits-table.js';
import { isMap, type NatsEntry, type NatsFile, type NatsMap, type NatsValue } from '../nats-syntax/node.js';
import { type OptionName, optionOf } from '../options.js';
import type { GoFileUse } from '../serve-config.js';
import { CHANNELS_KEY, type GoKey, type GoSection, keysByName } from './go-keys.js';
import { natsNamesOf, streamingOf } from './nats-part.js';

/** Switches that several keys turn on: one that turns them off does not take that back. */
const SWITCHED_ON: readonly OptionName[] = ['debug', 'secure'];

/** The address that a nats-server listens on if the file has none. */
const ALL_ADDRESSES = '0.0.0.0';

/** Why something has no effect, and the keys of which that is so. */
export type Noted = ReadonlyMap<string, readonly string[]>;

/** A Go server's file as options, with what is wrong in it. */
export interface GoFile extends ConfigFile {
  readonly errors: readonly string[];
  /** The keys without effect by the reason, each with its line. */
  readonly noted: Noted;
}

/**
 * The options of a Go server's file.
 *
 * @throws ConfigError naming every key that is wrong or cannot be honoured, each with file and line
 */
export function goConfigFile(file: NatsFile, use: GoFileUse = 'both'): ConfigFile {
  const found = readGoFile(file, use);
  if (found.errors.length > 0) throw new ConfigError(found.errors.join('\n'));
  return found;
}

/** Reads everything, also if something is wrong. */
export function readGoFile(file: NatsFile, use: GoFileUse = 'both'): GoFile {
  const reader = new Reader();
  const streaming = streamingOf(file);
  const natsValues: RawValue[] = [];
  if (use === 'both' && streaming === undefined) {
    const [entry] = [...file.entries.values()].filter(({ name }) => name.toLowerCase() === 'streaming');
    if (entry !== undefined)
      reader.errors.push(wrong(entry, ['streaming'], 'must be a map: streaming { ... }').message);
  } else {
    const path = streaming?.hasBlock ? ['streaming'] : [];
    if (use === 'both' && streaming !== undefined)
      reader.section('streaming', streaming.map, path, !streaming.hasBlock);
    const before = new Set(reader.values);
    reader.section('nats', file.entries, [], true);
    natsValues.push(...reader.values.filter((value) => !before.has(value)));
  }
  const names = natsNamesOf(file, use);
  const warnings = [...reader.warnings];
  for (const [why, keys] of reader.noted)
    warnings.push(
      `config file ${file.path}: ${keys.join(', ')} ${keys.length === 1 ? 'has' : 'have'} no effect: ${why}`,
    );
  return {
    values: reader.values,
    channels: reader.channels,
    warnings,
    errors: reader.errors,
    noted: reader.noted,
    nats: {
      path: file.path,
      use,
      values: natsValues,
      names,
      optionNames: new Set(names.filter((name) => isOption(name.toLowerCase()))),
      places: new Set(reader.values.map((value) => value.where)),
    },
  };
}

class Reader {
  readonly values: RawValue[] = [];
  readonly channels: ChannelRule[] = [];
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  readonly noted = new Map<string, string[]>();
  /** The host that the nats-server listens on. */
  #host = ALL_ADDRESSES;
  readonly #kindOf: (option: OptionName) => Kind<unknown>;

  /** @param kindOf the kind of an option's values; that of a channel's limit is another one */
  constructor(kindOf = (option: OptionName): Kind<unknown> => optionOf(option).kind) {
    this.#kindOf = kindOf;
  }

  /** @param isOpen whether other names belong to someone else */
  section(section: GoSection, map: NatsMap, path: readonly string[], isOpen = false): void {
    const keys = keysByName(section);
    const seen = new Map<GoKey, NatsEntry>();
    // The address of HTTP is that of the nats-server, unless it has its own.
    const entries = [...map.values()].sort((a, b) => Number(isHttp(a)) - Number(isHttp(b)));
    for (const entry of entries) {
      const own = [...path, entry.name];
      const key = keys.get(entry.name.toLowerCase());
      if (key === undefined) {
        if (!isOpen) this.#unknown(entry, own, keys.keys());
        continue;
      }
      const other = seen.get(key);
      seen.set(key, entry);
      this.#attempt(() => {
        if (other !== undefined)
          throw wrong(entry, own, `is there already, as ${other.name} in line ${other.place.line}`);
        this.#key(key, entry, own);
      });
      this.#replaced(entry, own);
    }
  }

  /** Does one step. What is wrong is kept, and the next step follows. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.errors.push(error.message);
    }
  }

  #key(key: GoKey, entry: NatsEntry, path: readonly string[]): void {
    const { outcome } = key;
    if (outcome.is === 'section') this.#sectionOf(key, entry, path);
    else if (outcome.is === 'address') this.#address(outcome, entry, path);
    else if (outcome.is === 'option') this.#option(outcome.option, key, entry, path);
    else if (outcome.is === 'less') {
      this.#option(outcome.option, key, entry, path);
      if (!asksForNothing(textOf(entry.value)))
        this.warnings.push(`${where(entry, path)} does no more than --${outcome.option}: ${outcome.why}`);
    } else if (outcome.is === 'noted') this.#note(outcome.why, entry, path);
    else if (isMap(entry.value) || !asksForNothing(textOf(entry.value)))
      throw wrong(entry, path, `is not supported: ${outcome.why}`);
  }

  #sectionOf(key: GoKey, entry: NatsEntry, path: readonly string[]): void {
    const [name = ''] = key.names;
    if (!isMap(entry.value)) throw wrong(entry, path, `must be a map, not ${shown(entry.value)}`);
    // Of a file without a block `streaming`, the nats-server has a block of that name too.
    const isOpen = name === 'authorization' || (name === 'tls' && path.length === 1);
    if (key === CHANNELS_KEY) this.#channels(entry.value, path);
    else this.section(name as GoSection, entry.value, path, isOpen);
  }

  #channels(map: NatsMap, path: readonly string[]): void {
    for (const entry of map.values()) {
      const own = [...path, entry.name];
      this.#replaced(entry, own);
      this.#attempt(() => this.#channel(entry, own));
    }
  }

  #channel(entry: NatsEntry, path: readonly string[]): void {
    if (!isPatternValid(entry.name))
      throw wrong(
        entry,
        path,
        'is no channel name or pattern: parts between dots, a part may be *, the last may be >, no /',
      );
    if (!isMap(entry.value)) throw wrong(entry, path, `must be a map of limits, not ${shown(entry.value)}`);
    this.channels.push({ pattern: entry.name, limits: this.#limits(entry.value, path) });
  }

  #limits(map: NatsMap, path: readonly string[]): Partial<ChannelLimits> {
    const kindOf = (option: OptionName): Kind<number> => channelLimit(optionOf(option).kind as Kind<number>);
    const limits = new Reader(kindOf);
    limits.section('channel', map, path);
    this.errors.push(...limits.errors);
    this.warnings.push(...limits.warnings);
    const found: Partial<ChannelLimits> = {};
    for (const { name, text } of limits.values) {
      const [, field] = CHANNEL_LIMIT_OPTIONS.find(([option]) => option === name) ?? [];
      if (field !== undefined) found[field] = kindOf(name).parse(text);
    }
    return found;
  }

  #option(option: OptionName, key: GoKey, entry: NatsEntry, path: readonly string[]): void {
    const kind = this.#kindOf(option);
    const { value, raw } = entry;
    const text = textOf(value);
    if (option === 'store' && text.toLowerCase() === 'sql')
      throw wrong(entry, path, `"${text}" is not supported: ${SQL}`);
    if (key.type === 'duration' && typeof value === 'bigint' && value !== 0n)
      throw wrong(entry, path, `must be ${kind.expected}. ${numberAdvice(raw, kind)}`);
    const isRight = hasType(value, kind) && kind.parse(text) !== undefined;
    // The nats-server takes names that a member of a group cannot have.
    if (!isRight && option === 'node-name') return;
    if (!isRight) throw wrong(entry, path, `must be ${kind.expected}, not ${shown(value, kind)}`);
    this.#set(option, text, entry, path);
    if (option === 'addr') this.#host = text;
  }

  /** A port, or an address with one: `8222`, `"127.0.0.1:8222"`, `:8222`. */
  #address(to: { host: OptionName; port: OptionName }, entry: NatsEntry, path: readonly string[]): void {
    const text = textOf(entry.value);
    const [, host = '', port] = /^(?:(.*):)?(-?\d+)$/.exec(text) ?? [];
    if (port === undefined || optionOf(to.port).kind.parse(port) === undefined)
      throw wrong(entry, path, 'must be a port, or an address with one like 127.0.0.1:8222');
    const address = host.replace(/^\[(.*)\]$/, '$1') || this.#host;
    // Port 0 turns HTTP off.
    if (to.host !== 'http-addr' || port !== '0') this.#set(to.host, address, entry, path);
    this.#set(to.port, port, entry, path);
    if (to.host === 'addr') this.#host = address;
  }

  #set(name: OptionName, text: string, entry: NatsEntry, path: readonly string[]): void {
    const other = this.values.findIndex((value) => value.name === name);
    if (other >= 0 && SWITCHED_ON.includes(name) && asksForNothing(text)) return;
    // As in the Go server, the NATS part has the last word about user and address.
    if (other >= 0) this.values.splice(other, 1);
    this.values.push({ name, text, where: where(entry, path) });
  }

  #note(why: string, entry: NatsEntry, path: readonly string[]): void {
    const keys = this.noted.get(why) ?? [];
    keys.push(`${path.join('.')} (line ${entry.place.line})`);
    this.noted.set(why, keys);
  }

  #unknown(entry: NatsEntry, path: readonly string[], names: Iterable<string>): void {
    this.warnings.push(
      `${where(entry, path)} has no effect: the Go server does not know it either${didYouMean(entry.name.toLowerCase(), names)}`,
    );
  }

  #replaced(entry: NatsEntry, path: readonly string[]): void {
    const line = entry.replaces?.place.line;
    if (line !== undefined)
      this.warnings.push(`${where(entry, path)} counts, and not the one in line ${line}`);
  }
}

function wrong(entry: NatsEntry, path: readonly string[], what: string): ConfigError {
  return new ConfigError(`${where(entry, path)} ${what}`);
}

function isOption(natsName: string): boolean {
  const is = keysByName('nats').get(natsName)?.outcome.is;
  return is === 'option' || is === 'address';
}

function isHttp({ name }: NatsEntry): boolean {
  return /^(http|monitor)/i.test(name);
}

function where({ place }: NatsEntry, path: readonly string[]): string {
  return `config file ${place.file}, line ${place.line}: ${path.join('.')}`;
}

function textOf(value: NatsValue): string {
  return isMap(value) || Array.isArray(value) ? '' : String(value);
}

function hasType(value: NatsValue, kind: Kind<unknown>): boolean {
  const type = typeof value === 'bigint' ? 'number' : typeof value;
  return kind.fileTypes.some((each) => each === type);
}

function shown(value: NatsValue, kind?: Kind<unknown>): string {
  if (typeof value === 'string')
    return kind === undefined ? 'a text' : shownValue(kind, value.slice(0, MAX_SHOWN));
  if (isMap(value)) return 'a map';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'boolean') return 'true or false';
  return kind?.fileTypes.includes('number') ? String(value) : 'a number';
}

/** What to write for a duration that is a number without quotes: `5m` is one, and `30` has no unit. */
function numberAdvice(raw: string, kind: Kind<unknown>): string {
  return kind.parse(raw) === undefined
    ? `${raw} is a number without a unit`
    : `Without quotes ${raw} is a number: write "${raw}"`;
}

const MAX_SHOWN = 80;
