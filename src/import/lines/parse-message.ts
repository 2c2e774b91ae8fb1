import { isUtf8 } from 'node:buffer';
import { MAX_NAME_BYTES } from '../../broker/handlers/names.js';
import { isChannelNameStringValid } from '../../protocol/stan-subjects.js';
import { parseTimeNs } from '../../util/time-text.js';

/** A message as its line has it. */
export interface MessageFields {
  subject: string;
  /** Undefined if the line does not say it. */
  sequence: number | undefined;
  /** Undefined if the line does not say it. */
  timestampNs: bigint | undefined;
  reply: Buffer;
  data: Buffer;
  redelivered: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const NOTHING = Buffer.alloc(0);
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const NANOSECONDS = /^-?\d{1,19}$/;

/** A line as an object. @throws Error saying what is wrong with it */
export function parseLine(line: Buffer): Json {
  // What is not UTF-8 would become another text.
  if (!isUtf8(line)) throw new Error('it is not UTF-8');
  const value: unknown = JSON.parse(line.toString());
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is not a JSON object');
  return value as Json;
}

/** @throws Error saying which field is wrong */
export function messageFields(line: Json): MessageFields {
  const { subject, sequence, timestamp } = line;
  if (typeof subject !== 'string' || subject === '') throw new Error('it has no "subject"');
  checkChannelName(subject);
  if (sequence !== undefined && !(Number.isSafeInteger(sequence) && (sequence as number) >= 1))
    throw new Error(`its "sequence" must be a whole number from 1, and is ${shown(sequence)}`);
  return {
    subject,
    sequence: sequence as number | undefined,
    timestampNs: timestamp === undefined ? undefined : timeOf(timestamp),
    reply: bytesOf(line, 'reply') ?? NOTHING,
    data: dataOf(line),
    redelivered: line.redelivered === true,
  };
}

/** No client could publish or subscribe to another one. @throws Error */
export function checkChannelName(name: string): void {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new Error(`a channel has a name of at most ${MAX_NAME_BYTES} bytes`);
  if (!isChannelNameStringValid(name) || LONE_SURROGATE.test(name))
    throw new Error(`${shown(name)} is no channel: no "*", ">" or "/", and no empty part between dots`);
}

function dataOf(line: Json): Buffer {
  const data = bytesOf(line, 'data');
  if (data === undefined) throw new Error('it has neither "data" nor "dataBase64"');
  return data;
}

function timeOf(value: unknown): bigint {
  const nanos =
    typeof value !== 'string' ? undefined : NANOSECONDS.test(value) ? BigInt(value) : parseTimeNs(value);
  if (nanos === undefined)
    throw new Error(
      `its "timestamp" must be a time as 2026-01-31T12:00:00.123456789Z, or nanoseconds since 1970 in quotes, and is ${shown(value)}`,
    );
  return nanos;
}

function bytesOf(line: Json, name: string): Buffer | undefined {
  const text = line[name];
  const base64 = line[`${name}Base64`];
  if (text !== undefined && base64 !== undefined)
    throw new Error(`it has both "${name}" and "${name}Base64"`);
  if (text !== undefined) {
    if (typeof text !== 'string') throw new Error(`its "${name}" must be a text, and is ${shown(text)}`);
    // Half of a surrogate pair has no UTF-8.
    if (LONE_SURROGATE.test(text))
      throw new Error(`its "${name}" has half of a character: use "${name}Base64"`);
    return Buffer.from(text);
  }
  if (base64 === undefined) return undefined;
  if (typeof base64 !== 'string' || base64.length % 4 !== 0 || !BASE64.test(base64))
    throw new Error(`its "${name}Base64" is not base64`);
  return Buffer.from(base64, 'base64');
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 60);
}
