import { connect, type Socket } from 'node:net';

/** Takes what arrives on a connection's hot subscription. */
export interface HotConsumer {
  onPayload(buffer: Buffer, start: number, end: number): void;
  /** All whole messages of one read have been handed over. */
  onReadEnd(): void;
}

const READ_BYTES = 512 * 1024;
const HOT_SID = 1;
const REPLY_SID = 2;
const HEARTBEAT_SID = 3;
const REQUEST_TIMEOUT_MS = 10_000;

const LF = 0x0a;
const CR = 0x0d;
const M = 0x4d;
const ZERO = 0x30;
// Every inbox has a mark here, 'z' if it is not the hot one. Together with 'MSG ' that tells the two apart.
const MARK_AT = 11;
const MARK_CONTROL = 0x7a;

/**
 * A NATS connection that counts: for its one hot subscription it knows the length of the header before the payload's
 * size, and makes no strings. All else (requests, heartbeats, pings) is rare and read as text.
 */
export class Connection {
  readonly heartbeatInbox: string;
  readonly #socket: Socket;
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #replyInbox: string;
  readonly #onError: (error: Error) => void;
  #filled = 0;
  #hotPrefixBytes = 0;
  #hot: HotConsumer | undefined;
  #pong: (() => void) | undefined;
  #reply: ((payload: Buffer | Error) => void) | undefined;
  #closed = false;

  /** @param suffix 21 characters, unique among all connections of all runs */
  constructor(port: number, name: string, suffix: string, onError: (error: Error) => void) {
    this.#onError = onError;
    this.heartbeatInbox = `_INBOX.z${suffix}`;
    this.#replyInbox = `_INBOX.z${suffix}r`;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: () => this.#buffer.subarray(this.#filled),
        callback: (bytes) => {
          this.#onRead(bytes);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () =>
      this.#fail(new Error(`bench: nats-server closed the connection of ${name}`)),
    );
    const options = {
      verbose: false,
      pedantic: false,
      headers: true,
      no_responders: true,
      protocol: 1,
      name,
    };
    this.writeText(`CONNECT ${JSON.stringify({ ...options, lang: 'bench', version: '1' })}\r\n`);
    this.writeText(`SUB ${this.#replyInbox} ${REPLY_SID}\r\nSUB ${this.heartbeatInbox} ${HEARTBEAT_SID}\r\n`);
  }

  /** Bytes that were written so far. */
  get sentBytes(): number {
    return this.#socket.bytesWritten;
  }

  /** @param inbox with any character but 'z' at index 7, and no other subscription of the caller beside it */
  subscribeHot(inbox: string, consumer: HotConsumer): void {
    this.#hotPrefixBytes = `MSG ${inbox} ${HOT_SID} `.length;
    this.#hot = consumer;
    this.writeText(`SUB ${inbox} ${HOT_SID}\r\n`);
  }

  /** Resolves when nats-server has seen all that was written before. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#pong = resolve;
      this.writeText('PING\r\n');
    });
  }

  /** One at a time. */
  async request(subject: string, payload: Buffer): Promise<Buffer> {
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Buffer | Error>((resolve) => {
      this.#reply = resolve;
      timer = setTimeout(
        () => resolve(new Error(`bench: no answer on ${subject} in ${REQUEST_TIMEOUT_MS} ms`)),
        REQUEST_TIMEOUT_MS,
      );
      this.writeText(`PUB ${subject} ${this.#replyInbox} ${payload.length}\r\n`);
      this.#socket.write(Buffer.concat([payload, Buffer.from('\r\n')]));
    });
    clearTimeout(timer);
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** The bytes must stay as they are until they have left: `onWritten` says when. */
  write(bytes: Buffer, onWritten?: () => void): void {
    this.#socket.write(bytes, onWritten);
  }

  writeText(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #onRead(bytes: number): void {
    const buffer = this.#buffer;
    const end = this.#filled + bytes;
    let at = 0;
    try {
      while (at < end) {
        const next = this.#frame(buffer, at, end);
        if (next === at) break;
        at = next;
      }
      this.#hot?.onReadEnd();
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (at > 0) buffer.copyWithin(0, at, end);
    this.#filled = end - at;
    if (this.#filled === READ_BYTES) this.#fail(new Error('bench: a message larger than the read buffer'));
  }

  /** Handles one message or line; returns where the next begins, or `at` if it is not whole yet. */
  #frame(buffer: Buffer, at: number, end: number): number {
    let cursor = at + this.#hotPrefixBytes;
    if (cursor === at || cursor >= end || buffer[at] !== M || buffer[at + MARK_AT] === MARK_CONTROL) {
      return this.#line(buffer, at, end);
    }
    let size = 0;
    let byte = 0;
    for (; cursor < end; cursor++) {
      byte = buffer[cursor]!;
      if (byte === CR) break;
      size = size * 10 + byte - ZERO;
    }
    const start = cursor + 2;
    const next = start + size + 2;
    if (byte !== CR || next > end) return at;
    this.#hot!.onPayload(buffer, start, start + size);
    return next;
  }

  #line(buffer: Buffer, at: number, end: number): number {
    const lineEnd = buffer.indexOf(LF, at);
    if (lineEnd < 0 || lineEnd >= end) return at;
    const words = buffer.toString('latin1', at, lineEnd - 1).split(' ');
    switch (words[0]) {
      case 'MSG':
      case 'HMSG': {
        const start = lineEnd + 1;
        const payloadEnd = start + Number(words.at(-1));
        if (payloadEnd + 2 > end) return at;
        this.#control(words, Buffer.from(buffer.subarray(start, payloadEnd)));
        return payloadEnd + 2;
      }
      case 'PING':
        this.writeText('PONG\r\n');
        break;
      case 'PONG':
        this.#pong?.();
        this.#pong = undefined;
        break;
      case '-ERR':
        throw new Error(`bench: nats-server says ${words.join(' ')}`);
      default: // INFO and +OK ask for nothing
    }
    return lineEnd + 1;
  }

  #control(words: string[], payload: Buffer): void {
    if (Number(words[2]) === HEARTBEAT_SID) {
      this.writeText(`PUB ${words[3]} 0\r\n\r\n`);
    } else if (words[0] === 'HMSG') {
      this.#reply?.(
        new Error(
          'bench: nobody answers on the subject (no responders): is the broker up, with this cluster ID?',
        ),
      );
    } else {
      this.#reply?.(payload);
    }
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.#onError(error);
  }
}
