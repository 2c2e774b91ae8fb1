// The kinds of values that options have: how each is written, parsed and explained.

import { shownUrls } from '../util/server-url.js';
import { parseDurationMs, parseSize, upToSafe } from './units.js';

/** The types in YAML that a value may have before it is read as text. */
type FileType = 'string' | 'number' | 'boolean' | 'list';

/** A kind of value, which parses text to `T`. */
export interface Kind<T> {
  /** The expected value, for error messages: "a number from 1 to 65535". */
  readonly expected: string;
  /** How --help shows the value. */
  readonly placeholder: string;
  readonly fileTypes: readonly FileType[];
  /** A flag of this kind needs no value: without one it means `true`. */
  readonly isSwitch?: boolean;
  /** What of a value holds a secret: all of it, or the credentials in its URLs. It is never shown, not even if it is wrong. */
  readonly secret?: 'whole' | 'in-urls';
  /** @returns undefined if the text is not of this kind */
  parse(text: string): T | undefined;
}

export type ValueOf<K> = K extends Kind<infer T> ? T : never;

/** PEM, several lines, the seed of an nkey, or a JWT. */
const SECRET_CONTENT = /-----BEGIN|[\n\r]|^S[A-Z2-7]{57}$|^eyJ[\w-]+\./;

const TRUE_WORDS = ['true', 't', '1', 'yes', 'on'];
const FALSE_WORDS = ['false', 'f', '0', 'no', 'off'];

export function isBooleanWord(text: string): boolean {
  return TRUE_WORDS.includes(text.toLowerCase()) || FALSE_WORDS.includes(text.toLowerCase());
}

export const boolean: Kind<boolean> = {
  expected: 'true or false',
  placeholder: '',
  fileTypes: ['boolean', 'string', 'number'],
  isSwitch: true,
  parse(text) {
    if (!isBooleanWord(text)) return undefined;
    return TRUE_WORDS.includes(text.toLowerCase());
  },
};

export const text: Kind<string> = {
  expected: 'a text (in a config file: in quotes)',
  placeholder: 'TEXT',
  fileTypes: ['string'],
  parse: (value) => value,
};

/** A password or a token. */
export const secret: Kind<string> = { ...text, secret: 'whole' };

export const path: Kind<string> = {
  expected: 'a path',
  placeholder: 'PATH',
  fileTypes: ['string'],
  parse: (value) => (value === '' || value.includes('\0') ? undefined : value),
};

/** Members send their names to each other, which has a limit, and NATS has one for a subject. */
const MAX_SUBJECT_LENGTH = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a subject must not have them
const SUBJECT = /^[^\s.*>\x00-\x1f]+(\.[^\s.*>\x00-\x1f]+)*$/;

/** A literal part of a NATS subject. */
export const subject: Kind<string> = {
  expected: `a NATS subject: no spaces, no wildcards, no empty part between dots, ${MAX_SUBJECT_LENGTH} characters at most`,
  placeholder: 'NAME',
  fileTypes: ['string'],
  parse: (value) => (value.length <= MAX_SUBJECT_LENGTH && SUBJECT.test(value) ? value : undefined),
};

export function wholeNumber(min: number, max: number, placeholder = 'N'): Kind<number> {
  return {
    expected:
      max === Number.MAX_SAFE_INTEGER
        ? `a whole number, ${min} or more`
        : `a whole number from ${min} to ${max}`,
    placeholder,
    fileTypes: ['number', 'string'],
    parse(value) {
      if (!/^-?\d+$/.test(value)) return undefined;
      const number = max === Number.MAX_SAFE_INTEGER ? upToSafe(Number(value)) : Number(value);
      return number !== undefined && number >= min && number <= max ? number : undefined;
    },
  };
}

export const count = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const MAX_PORT = 65535;

/** A port. A free port is chosen for 0, and for -1 as in the Go servers. */
export const port: Kind<number> = {
  expected: `a port from 1 to ${MAX_PORT}, or 0 for any that is free`,
  placeholder: 'PORT',
  fileTypes: ['number', 'string'],
  parse: (value) => wholeNumber(0, MAX_PORT).parse(value === '-1' ? '0' : value),
};

/** A port that can be off. As in the Go servers, 0 is off and -1 is a free port; they become `false` and 0. */
export const portOrOff: Kind<number | false> = {
  expected: `a port from 1 to ${MAX_PORT}, -1 for any that is free, or off`,
  placeholder: 'PORT',
  fileTypes: ['number', 'string', 'boolean'],
  parse: (value) => (FALSE_WORDS.includes(value.toLowerCase()) ? false : port.parse(value)),
};

export const size: Kind<number> = {
  expected: 'a size like 1024000000, 10MB or 1GB',
  placeholder: 'SIZE',
  fileTypes: ['number', 'string'],
  parse: parseSize,
};

export const duration: Kind<number> = {
  expected: 'a duration with its unit, like 30s, 1h30m or 500ms, or 0',
  placeholder: 'DURATION',
  fileTypes: ['number', 'string'],
  parse: parseDurationMs,
};

export const positiveDuration: Kind<number> = {
  ...duration,
  expected: 'a duration above zero with its unit, like 30s, 1h30m or 500ms',
  parse: (value) => parseDurationMs(value) || undefined,
};

/** One of these words, in upper or lower case. */
export function oneOf<const T extends string>(words: readonly T[]): Kind<T> {
  return {
    expected: words.join(' or '),
    placeholder: words.join('|'),
    fileTypes: ['string'],
    parse: (value) => words.find((word) => word === value.toLowerCase()),
  };
}

/** A list, separated by commas. */
export const list: Kind<readonly string[]> = {
  expected: 'a list, separated by commas',
  placeholder: 'LIST',
  fileTypes: ['string', 'list'],
  parse(value) {
    const items = value.split(',').map((item) => item.trim());
    return items.includes('') ? undefined : items;
  },
};

/** Names of hosts: `*.example.com` is every name below it, `*` is any. */
export const hosts: Kind<readonly string[]> = {
  ...list,
  expected:
    'a list of names without ports, separated by commas: stan.example.com, *.example.com, or * for any',
  parse(value) {
    const names = list.parse(value.toLowerCase());
    return names?.every((name) => name === '*' || /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name))
      ? names
      : undefined;
  },
};

/** A URL that may hold credentials. */
export const url: Kind<string> = { ...text, secret: 'in-urls' };

/** URLs that may hold credentials. */
export const urls: Kind<readonly string[]> = { ...list, secret: 'in-urls' };

/** The path of a file with a secret. Its content, given by mistake, is not shown. */
export const secretPath: Kind<string> = {
  ...path,
  expected: 'the path of a file: give the path, not the content',
  parse: (value) => (SECRET_CONTENT.test(value) ? undefined : path.parse(value)),
};

/** A value of a kind, for error messages. */
export function shownValue(kind: Kind<unknown>, value: string): string {
  if (kind.secret === 'whole' || SECRET_CONTENT.test(value)) return 'the value, which is not shown,';
  return `"${kind.secret === 'in-urls' ? shownUrls(value) : value}"`;
}

/** The kind of a limit of one channel: it also takes negative numbers for unlimited, which becomes 0. */
export function channelLimit(kind: Kind<number>): Kind<number> {
  return {
    ...kind,
    expected: `${kind.expected} (0 or a negative number: unlimited)`,
    parse(value) {
      if (!value.startsWith('-')) return kind.parse(value);
      return kind.parse(value.slice(1)) !== undefined || /^-\d+$/.test(value) ? 0 : undefined;
    },
  };
}
