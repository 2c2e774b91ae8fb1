// Texts, numbers, words and dates in the configuration syntax of the NATS servers.

import type { Cursor } from './cursor.js';

/** What a scalar is, before variables are looked up. */
export type Scalar = string | bigint | number | boolean | Date | Variable;

/** A reference to another value: `$NAME`. */
export class Variable {
  constructor(readonly name: string) {}
}

const ESCAPES = new Map([
  ['t', '\t'],
  ['n', '\n'],
  ['r', '\r'],
  ['"', '"'],
  ['\\', '\\'],
]);

/** A letter alone counts in thousands, and with a `b` or an `i` in 1024s. */
const EXPONENTS = new Map(['k', 'm', 'g', 't', 'p', 'e'].map((letter, index) => [letter, BigInt(index + 1)]));
const MAX_INTEGER = 2n ** 63n - 1n;

const WORDS = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
]);

/** A password's hash is no variable, though it begins like one. */
const BCRYPT = '2a$';

const BARE_END = /[\s;,\]}']/;

/** Reads a value that is no map and no array. */
export function readScalar(cursor: Cursor): Scalar {
  if (cursor.take("'")) return readQuoted(cursor);
  if (cursor.take('"')) return readDoubleQuoted(cursor);
  if (cursor.take('(')) return readBlock(cursor);
  if (cursor.char === '.') throw cursor.error('a number must begin with a digit');
  if (cursor.char === '-' || /\d/.test(cursor.char)) return readNumber(cursor);
  return readBare(cursor);
}

/** Reads the rest of a text in single quotes, which has no escapes. */
function readQuoted(cursor: Cursor): string {
  const start = cursor.position;
  const text = cursor.match(/[^']*/y);
  if (!cursor.take("'")) throw cursor.error('a single quote is not closed', start - 1);
  return text;
}

function readDoubleQuoted(cursor: Cursor): string {
  const start = cursor.position;
  let text = '';
  for (;;) {
    text += cursor.match(/[^"\\]*/y);
    if (cursor.take('"')) return text;
    if (cursor.isAtEnd) throw cursor.error('a double quote is not closed', start - 1);
    text += readEscape(cursor);
  }
}

function readEscape(cursor: Cursor): string {
  const start = cursor.position++;
  const letter = cursor.char;
  cursor.position++;
  const plain = ESCAPES.get(letter);
  if (plain !== undefined) return plain;
  if (letter !== 'x')
    throw cursor.error('behind a backslash must be x and two digits, t, n, r, " or another backslash', start);
  const digits = cursor.match(/[\da-f]{2}/iy);
  if (digits === '') throw cursor.error('behind \\x must be two hexadecimal digits', start);
  return String.fromCharCode(Number.parseInt(digits, 16));
}

/** Reads the rest of a block: it ends with a `)` on a line by itself. */
function readBlock(cursor: Cursor): string {
  const start = cursor.position;
  const end = /\n\)(?=\n|$)/g;
  end.lastIndex = start;
  const found = end.exec(cursor.text);
  if (found === null)
    throw cursor.error('a block that begins with ( needs a ) on a line by itself', start - 1);
  cursor.position = found.index + 2;
  return cursor.text.slice(start, found.index + 1);
}

/** Reads a number, a date, an address, or a text that begins with a digit: `24h`. */
function readNumber(cursor: Cursor): Scalar {
  const start = cursor.position;
  const date = cursor.match(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/y);
  if (date !== '') return new Date(date);
  const address = cursor.match(/\d+\.\d+\.[\d.:-]*/y);
  if (address !== '') return address;
  const float = cursor.match(/-?\d+\.\d+/y);
  if (float !== '') return Number(float);
  const [integer, sign = '', digits = '', unit = ''] =
    /^(-?)(\d+)([kmgtpe][bi]*)?/i.exec(cursor.text.slice(start, start + 64)) ?? [];
  if (integer === undefined) throw cursor.error('a digit must stand behind the minus');
  const after = cursor.text.charAt(start + integer.length);
  if (unit === '' && after === '-')
    throw cursor.error('a date must be like 2026-11-29T12:00:00Z; put other texts in quotes', start);
  if (unit === '' && after === '.') throw cursor.error('behind the point of a number must be a digit', start);
  if (sign === '' && after !== '' && !BARE_END.test(after)) return readBare(cursor);
  cursor.position = start + integer.length;
  const [letter = '', ...rest] = unit.toLowerCase();
  const suffix = rest.join('');
  if (!['', 'b', 'i', 'ib'].includes(suffix)) throw cursor.error('there is no such unit of sizes', start);
  const factor = (suffix === '' ? 1000n : 1024n) ** (EXPONENTS.get(letter) ?? 0n);
  const value = BigInt(digits) * factor;
  if (value > MAX_INTEGER) throw cursor.error('a number is larger than 64 bits can hold', start);
  return sign === '' ? value : -value;
}

/** Reads a text without quotes. */
function readBare(cursor: Cursor): Scalar {
  let text = '';
  let hasEscapes = false;
  for (;;) {
    text += cursor.match(/[^\s;,\]}'\\]*/y);
    if (cursor.char !== '\\') break;
    text += readEscape(cursor);
    hasEscapes = true;
  }
  const isPlain = !cursor.take("'") && !hasEscapes;
  if (!isPlain) return text;
  const word = WORDS.get(text.toLowerCase());
  if (word !== undefined) return word;
  if (!text.startsWith('$') || text.startsWith(BCRYPT, 1)) return text;
  return new Variable(text.slice(1));
}
