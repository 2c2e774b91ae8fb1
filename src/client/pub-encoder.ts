import { isChannelNameStringValid } from '../protocol/stan-subjects.js';
import { varintSize, writeVarint } from '../protocol/wire.js';
import { InvalidOptionError } from './client-errors.js';
import { quote } from './connect-options.js';

const CLIENT_ID_TAG = 0x0a;
const GUID_TAG = 0x12;
const SUBJECT_TAG = 0x1a;
const DATA_TAG = 0x2a;
const CONN_ID_TAG = 0x32;
/** Limit of cached channels; beyond it the cache starts empty again. */
const MAX_CHANNELS = 4_096;
/** nats-server takes lines of 4,096 bytes, which need room for the prefix, the reply and the size too. A server with a lower limit says so. */
const MAX_NAME_BYTES = 3_072;
/** Spaces, control characters, and lone surrogates, which have no bytes. */
const UNFIT = /[\s\p{Cc}\p{Cs}]/u;

/** The parts of a PubMsg that all messages of a channel share. */
export interface EncodedChannel {
  /** The NATS subject. */
  readonly subject: string;
  /** The encoded field of the channel: tag, length and name. */
  readonly field: Buffer;
}

/** Encodes PubMsgs. All fields but guid and data are the same in each message, and kept as bytes. */
export class PubEncoder {
  readonly #prefix: string;
  readonly #clientField: Buffer;
  readonly #connField: Buffer;
  readonly #channels = new Map<string, EncodedChannel>();

  /** @param prefix the prefix of the NATS subjects for messages */
  constructor(prefix: string, clientId: string, connId: Uint8Array) {
    this.#prefix = prefix;
    this.#clientField = fieldOf(CLIENT_ID_TAG, Buffer.from(clientId));
    this.#connField = fieldOf(CONN_ID_TAG, connId);
  }

  /** @throws InvalidOptionError if the name is not valid for a channel */
  channel(name: string): EncodedChannel {
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    checkChannelName(name);
    const channel = { subject: `${this.#prefix}.${name}`, field: fieldOf(SUBJECT_TAG, Buffer.from(name)) };
    if (this.#channels.size >= MAX_CHANNELS) this.#channels.clear();
    this.#channels.set(name, channel);
    return channel;
  }

  /** @param guid ASCII, at most 127 characters. @returns bytes that share no memory with `data` */
  encode(channel: EncodedChannel, guid: string, data: Uint8Array): Buffer {
    const client = this.#clientField;
    const conn = this.#connField;
    const { field } = channel;
    const dataLength = data.length;
    const size =
      client.length +
      2 +
      guid.length +
      field.length +
      (dataLength === 0 ? 0 : 1 + varintSize(dataLength) + dataLength) +
      conn.length;
    const bytes = Buffer.allocUnsafe(size);
    bytes.set(client, 0);
    let pos = client.length;
    bytes[pos++] = GUID_TAG;
    bytes[pos++] = guid.length;
    for (let i = 0; i < guid.length; i++) bytes[pos++] = guid.charCodeAt(i);
    bytes.set(field, pos);
    pos += field.length;
    if (dataLength > 0) {
      bytes[pos++] = DATA_TAG;
      pos = writeVarint(bytes, pos, dataLength);
      bytes.set(data, pos);
      pos += dataLength;
    }
    bytes.set(conn, pos);
    return bytes;
  }
}

/** @throws InvalidOptionError if the name is not valid for a channel */
export function checkChannelName(name: string): void {
  if (typeof name !== 'string' || !isChannelNameStringValid(name) || UNFIT.test(name))
    throw new InvalidOptionError(
      `${quote(name)} cannot be a channel`,
      'A name has no spaces, no control characters, no "/", no wildcards ("*", ">"), and no empty parts between dots',
      'INVALID_SUBJECT',
    );
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new InvalidOptionError(
      `${quote(name)}... cannot be a channel`,
      `A name has at most ${MAX_NAME_BYTES} bytes: a NATS server closes a connection with longer lines`,
      'INVALID_SUBJECT',
    );
}

function fieldOf(tag: number, value: Uint8Array): Buffer {
  const field = Buffer.alloc(1 + varintSize(value.length) + value.length);
  field[0] = tag;
  field.set(value, writeVarint(field, 1, value.length));
  return field;
}
