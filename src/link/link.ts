// The data link: one lean connection to a NATS server.

import type { Duplex } from 'node:stream';
import { type Clock, systemClock, type Timer } from '../clock/clock.js';
import { must } from '../util/assert.js';
import { bugOf } from '../util/bug.js';
import { Congestion } from './congestion.js';
import { connectLine } from './connect-line.js';
import { type ByteSink, Dial, type Dialed, type LinkTarget, withTimeout } from './dial-link.js';
import type { LinkHandler } from './link-handler.js';
import { LinkDownError, type LinkEvents, type LinkOptions, LinkRefusedError } from './link-options.js';
import { type ControlHandler, LinkProtocolError, Parser } from './parser.js';
import { PingWatch } from './ping-watch.js';
import { Pings, type PongWaiter, type Pulse } from './pings.js';
import { plainWord } from './plain-word.js';
import { ReadBuffer } from './read-buffer.js';
import { Sender } from './sender.js';
import { parseServerInfo, type ServerInfo } from './server-info.js';
import type { OutBuffer } from './writer.js';

const DEFAULT_PING_INTERVAL_MS = 5_000;
/** PINGs for the pulse, between two that count for `PingWatch`. */
const PULSES_PER_INTERVAL = 20;
/** Limit of flushes that wait for their PONG. */
const MAX_FLUSHES = 10_000;

/**
 * The data link: one connection to a NATS server, for the messages of the protocol. It is not reused: when it is down, make a new
 * one. Bytes that were given to one link are never sent by another.
 *
 * It reads always, also when its owner is busy, since nats-server disconnects clients that read too slowly.
 */
export class Link implements ControlHandler {
  /** The server's last INFO. */
  serverInfo!: ServerInfo;

  readonly #read = new ReadBuffer();
  readonly #parser: Parser;
  readonly #clock: Clock;
  readonly #pingIntervalMs: number;
  readonly #congestion: Congestion;
  #state: 'connecting' | 'up' | 'down' = 'connecting';
  #socket: Duplex | undefined;
  #sender: Sender | undefined;
  #lastSid = 0;
  readonly #pings: Pings;
  #pingTimer: Timer | undefined;
  readonly #watch = new PingWatch();
  #pulses = 0;
  #receivedBytes = 0;
  #lastServerError = '';
  #onFirstInfo: ((info: ServerInfo) => void) | undefined;
  #onFailed: ((error: Error) => void) | undefined;
  #failure: Error | undefined;

  readonly #events: LinkEvents;

  private constructor(handler: LinkHandler, events: LinkEvents, options: LinkOptions) {
    this.#events = events;
    this.#clock = options.clock ?? systemClock;
    this.#pingIntervalMs = options.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS;
    this.#congestion = new Congestion(options);
    this.#parser = new Parser(handler, this);
    this.#pings = new Pings(this.#clock);
  }

  /**
   * Connects, and resolves when the server has accepted the credentials.
   *
   * @throws Error naming the server and why it failed
   */
  static async connect(
    target: LinkTarget,
    handler: LinkHandler,
    events: LinkEvents,
    options: LinkOptions = {},
  ): Promise<Link> {
    let link = new Link(handler, events, options);
    const dial = new Dial();
    const abort = (error: Error) => {
      dial.abort(error);
      link.#fail(error);
    };
    const attempt = async () => {
      if (target.tls || target.tlsFirst) {
        await link.#shakeHands(await dial.secure(target, link.#sink), target);
        return link;
      }
      const info = await link.#firstInfo(await dial.plain(target, link.#sink));
      if (info.tlsRequired || info.tlsAvailable) {
        link.close();
        link = new Link(handler, events, options);
        await link.#shakeHands(await dial.secure(target, link.#sink), target);
      } else {
        await link.#logIn(info, target);
      }
      return link;
    };
    const giveUp = () => abort(new Error('given up'));
    options.signal?.addEventListener('abort', giveUp);
    if (options.signal?.aborted) giveUp();
    try {
      return await withTimeout(link.#clock, target.connectTimeoutMs, abort, attempt());
    } catch (error) {
      link.close();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot connect to the NATS server at ${target.host}:${target.port}: ${reason}`, {
        cause: error,
      });
    } finally {
      options.signal?.removeEventListener('abort', giveUp);
    }
  }

  /**
   * A link over a connection within this process. The other side accepts every login, so the link is up at once. It sends no PINGs of
   * its own.
   *
   * @param open is given where the bytes of the other side go, and returns the connection
   */
  static over(
    open: (sink: ByteSink) => Dialed,
    handler: LinkHandler,
    events: LinkEvents,
    options: LinkOptions,
  ): Link {
    const link = new Link(handler, events, options);
    link.#adopt(open(link.#sink));
    link.#state = 'up';
    return link;
  }

  /** Gives the messages to another handler from now on. */
  handOverTo(handler: LinkHandler): void {
    this.#parser.handler = handler;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Largest payload that the server accepts, in bytes. It disconnects a client that sends more. */
  get maxPayload(): number {
    return this.serverInfo.maxPayload;
  }

  /** Bytes given to the socket and not yet taken by the system. */
  get backlogBytes(): number {
    return this.#sender?.backlogBytes ?? 0;
  }

  /** How many bytes were received. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get pulse(): Pulse {
    return this.#pings;
  }

  /** Whether the server reads more slowly than it is sent to: send only what is necessary, until `onDrain`. */
  get isCongested(): boolean {
    return this.#congestion.isCongested;
  }

  get #open(): Sender {
    return must(this.#sender, 'a link sends once it has a socket');
  }

  /** An empty buffer to fill and `send`. */
  takeBuffer(): OutBuffer {
    return this.#open.take();
  }

  /**
   * Sends a buffer in one write, after everything sent before, and takes it back: do not touch it any more. It is dropped if the link
   * is down, or if the buffer is from another link.
   */
  send(out: OutBuffer): void {
    const sender = this.#open;
    sender.send(out);
    if (this.isUp && this.#pings.isDue(sender.sentBytes)) this.#sendPing(undefined);
  }

  /** Whether the buffer is from this link. */
  owns(out: OutBuffer): boolean {
    return this.#open.owns(out);
  }

  /**
   * @param sid number of the subscription; by default the next one. A caller passes it for all subscriptions or for none
   * @returns the number of the subscription, which `onMessage` gets with each message
   */
  subscribe(subject: string, queue?: string, sid = ++this.#lastSid): number {
    this.#sendLine(
      queue === undefined
        ? `SUB ${plainWord(subject, 'subject')} ${sid}\r\n`
        : `SUB ${plainWord(subject, 'subject')} ${plainWord(queue, 'queue')} ${sid}\r\n`,
    );
    return sid;
  }

  /** Ends a subscription. Messages that are under way may still come. */
  unsubscribe(sid: number): void {
    this.#sendLine(`UNSUB ${sid}\r\n`);
  }

  /**
   * Resolves when the server has processed everything sent before, and the handler has received everything that the server sent
   * before its answer.
   *
   * @throws LinkDownError if the link is or goes down
   */
  flush(): Promise<void> {
    if (this.#state !== 'up') return Promise.reject(new LinkDownError('the link to the NATS server is down'));
    if (this.#pings.waiting >= MAX_FLUSHES) {
      return Promise.reject(new Error(`${MAX_FLUSHES} flushes of the link already wait for the NATS server`));
    }
    return new Promise((resolve, reject) => this.#sendPing({ resolve, reject }));
  }

  /** Closes at once, and drops unsent bytes: call `flush` first to keep them. Idempotent. */
  close(): void {
    this.#shut(new LinkDownError('the link to the NATS server was closed'));
  }

  onPing(): void {
    this.#sendLine('PONG\r\n');
  }

  onPong(): void {
    this.#watch.answered();
    this.#pings.answered();
  }

  onInfo(json: string): void {
    const info = parseServerInfo(json);
    this.serverInfo = info;
    this.#parser.maxPayload = info.maxPayload;
    const onFirstInfo = this.#onFirstInfo;
    if (onFirstInfo) {
      this.#onFirstInfo = undefined;
      onFirstInfo(info);
    } else {
      this.#events.onInfo?.(info);
    }
  }

  onOversize(bytes: number): void {
    this.#events.onServerError?.(
      `it sent a message of ${bytes} bytes, more than its max_payload of ${this.maxPayload}, which was dropped: ` +
        'give all servers of the cluster the same max_payload',
    );
  }

  onServerError(text: string): void {
    this.#lastServerError = text;
    if (this.#state === 'connecting') this.#fail(new LinkRefusedError(`the server refused: ${text}`));
    else this.#events.onServerError?.(text);
  }

  /** Receives the socket's bytes. */
  readonly #sink = ((link: Link) => ({
    get free() {
      return link.#read.free;
    },
    filled(byteCount: number) {
      link.#onBytes(byteCount);
    },
  }))(this);

  #onBytes(byteCount: number): void {
    if (this.#state === 'down') return;
    try {
      this.#take(byteCount);
    } catch (error) {
      if (error instanceof LinkProtocolError) this.#fail(error);
      else {
        this.#fail(bugOf(error));
        this.#events.onBroken?.(error);
      }
    }
  }

  #take(byteCount: number): void {
    this.#watch.received();
    this.#receivedBytes += byteCount;
    const read = this.#read;
    read.filled(byteCount);
    // A part of a large message is not parsed before the message is complete.
    if (read.end - read.start < this.#parser.wantedBytes) {
      read.settle(read.start, this.#parser.wantedBytes);
      return;
    }
    read.settle(this.#parser.parse(read.buffer, read.start, read.end), this.#parser.wantedBytes);
    if (this.#parser.messageCount > 0 && this.#state === 'up') this.#parser.handler.onBatchEnd();
  }

  #adopt(dialed: Dialed): void {
    const socket = dialed.socket;
    this.#socket = socket;
    this.#sender = new Sender(socket, () => this.#onBacklogChanged());
    socket.on('error', (error) => this.#fail(error));
    const closed = () => this.#fail(new Error(this.#lastServerError || 'the server closed the connection'));
    socket.on('end', closed);
    socket.on('close', closed);
    if (dialed.info) {
      this.serverInfo = dialed.info;
      this.#parser.maxPayload = dialed.info.maxPayload;
    }
  }

  #firstInfo(dialed: Dialed): Promise<ServerInfo> {
    return new Promise((resolve, reject) => {
      this.#onFirstInfo = resolve;
      this.#onFailed = reject;
      this.#adopt(dialed);
      if (dialed.info) resolve(dialed.info);
    });
  }

  async #shakeHands(dialed: Dialed, target: LinkTarget): Promise<void> {
    if (dialed.info) {
      this.#adopt(dialed);
      await this.#logIn(dialed.info, target);
    } else {
      await this.#logIn(await this.#firstInfo(dialed), target);
    }
  }

  async #logIn(info: ServerInfo, target: LinkTarget): Promise<void> {
    this.#sendLine(connectLine(info, target));
    await new Promise<void>((resolve, reject) => {
      // An -ERR may have come in the same read as the INFO.
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#onFailed = reject;
      // The state changes in the callback and not after the promise, since messages may follow in the same read.
      const onPong = () => {
        this.#state = 'up';
        this.#onFailed = undefined;
        resolve();
      };
      this.#sendPing({ resolve: onPong, reject });
    });
    this.#schedulePing();
  }

  #sendPing(waiter: PongWaiter | undefined): void {
    this.#pings.sent(this.#sender?.sentBytes ?? 0, waiter);
    this.#sendLine('PING\r\n');
  }

  #schedulePing(): void {
    if (this.#state !== 'up') return;
    this.#pingTimer = this.#clock.setTimer(this.#pingIntervalMs / PULSES_PER_INTERVAL, () => {
      const isWatched = ++this.#pulses % PULSES_PER_INTERVAL === 0;
      const dead =
        isWatched && this.#watch.next(this.#pingIntervalMs, this.#open.takenBytes, this.backlogBytes);
      if (typeof dead === 'string') {
        this.#fail(new Error(dead));
        return;
      }
      if (isWatched) {
        this.#open.trim();
        this.#read.trim();
      }
      if (isWatched || this.#pings.mayPulse) this.#sendPing(undefined);
      this.#schedulePing();
    });
  }

  #sendLine(line: string): void {
    if (!this.#sender || this.#state === 'down') return;
    const out = this.#sender.take();
    out.reserve(Buffer.byteLength(line));
    out.length += out.buf.write(line, out.length);
    this.#sender.send(out);
  }

  #onBacklogChanged(): void {
    const { backlogBytes } = this.#open;
    const change = this.#congestion.changed(backlogBytes);
    if (change === 'drained') this.#events.onDrain?.();
    else if (change === 'too-much')
      this.#fail(new Error(`the server does not read what it is sent: ${backlogBytes} bytes wait`));
  }

  #fail(error: Error): void {
    const state = this.#state;
    if (state === 'down') return;
    this.#failure = error;
    const onFailed = this.#onFailed;
    // This comes before `shut`, which rejects the flush of the login with a less specific error.
    onFailed?.(error);
    this.#shut(new LinkDownError(`the link to the NATS server is down: ${error.message}`, { cause: error }));
    if (state === 'up') this.#events.onDown(error.message);
  }

  #shut(error: LinkDownError): void {
    if (this.#state === 'down') return;
    this.#state = 'down';
    this.#onFailed = undefined;
    this.#pingTimer?.cancel();
    this.#parser.stop();
    this.#sender?.stop();
    this.#socket?.destroy();
    this.#pings.fail(error);
  }
}
