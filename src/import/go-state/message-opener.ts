import type { StoredMessage } from '../go-wire/stored-message.js';
import { SourceError } from '../types/source-error.js';
import { isNonceOf, MessageKey, mayBeEncrypted } from './message-key.js';
import type { FilePlace, ProblemList } from './problem-list.js';

/** Memory for messages that are encoded again. It is full when the largest message would not fit any more. */
const CHUNK_BYTES = 1024 * 1024;

/** Where people put the key. */
export const HOW_TO_GIVE_THE_KEY =
  'give the key that the old server had: --encryption_key_file FILE, or the environment variable NATS_STREAMING_ENCRYPTION_KEY';

/** Encodes messages again that cannot be copied as they are: encrypted ones, and ones with other fields or another order. */
export class MessageOpener {
  /** Where the last opened message lies. */
  buffer: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  readonly #channel: string;
  readonly #key: MessageKey | undefined;
  readonly #problems: ProblemList;
  /** Messages that begin like encrypted ones and are not. */
  #clear = 0;

  constructor(channel: string, key: Buffer | undefined, problems: ProblemList) {
    this.#channel = channel;
    this.#key = key === undefined ? undefined : new MessageKey(key, channel);
    this.#problems = problems;
  }

  /** Whether the sink must drain before the next message is opened. */
  get isFull(): boolean {
    return this.end >= CHUNK_BYTES;
  }

  /** The sink has taken all messages. */
  release(): void {
    this.start = 0;
    this.end = 0;
    if (this.buffer.length > CHUNK_BYTES) this.buffer = Buffer.alloc(0);
  }

  /** Whether a message is, or may be, encrypted. */
  isNeeded(buffer: Buffer, { dataStart, dataEnd }: StoredMessage): boolean {
    return mayBeEncrypted(buffer, dataStart, dataEnd);
  }

  /**
   * @returns false if the message is lost, and the source lenient
   * @throws SourceError 'key' if it is encrypted and the key is missing or wrong
   */
  open(buffer: Buffer, message: StoredMessage, place: FilePlace): boolean {
    const { dataStart, dataEnd, sequence } = message;
    if (!mayBeEncrypted(buffer, dataStart, dataEnd)) {
      this.#encode(buffer, message, buffer, dataStart, dataEnd);
      return true;
    }
    const text = this.#key?.decrypt(buffer, dataStart, dataEnd);
    if (text !== undefined) {
      this.#encode(buffer, message, text, 0, text.length);
      return true;
    }
    if (isNonceOf(buffer, dataStart, sequence)) return this.#lose(place, sequence);
    if (this.#key !== undefined && this.#clear++ === 0)
      this.#problems.note(
        place,
        `message ${sequence} of ${this.#channel} begins like an encrypted one and does not open with the key: it comes along as it is, as do others like it`,
      );
    this.#encode(buffer, message, buffer, dataStart, dataEnd);
    return true;
  }

  #lose(place: FilePlace, sequence: number): boolean {
    const where = `message ${sequence} of channel ${this.#channel}`;
    if (this.#key === undefined)
      throw new SourceError('key', `${where} is encrypted: ${HOW_TO_GIVE_THE_KEY}`);
    if (!this.#problems.isLenient)
      throw new SourceError('key', `${where} is encrypted with another key: ${HOW_TO_GIVE_THE_KEY}`);
    this.#problems.lost(place, `${where} is encrypted with another key, and does not come along`);
    return false;
  }

  #encode(source: Buffer, message: StoredMessage, data: Buffer, dataStart: number, dataEnd: number): void {
    const bytes = message.maxEncodedSize(dataEnd - dataStart);
    if (this.end + bytes > this.buffer.length) {
      // The sink still holds the old memory, which stays as it is.
      this.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * CHUNK_BYTES));
      this.end = 0;
    }
    this.start = this.end;
    this.end = message.encode(this.buffer, this.start, source, data, dataStart, dataEnd);
  }
}
