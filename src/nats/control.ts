import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { LinkTarget } from '../link/dial.js';
import { Link, type LinkEvents, type LinkOptions } from '../link/link.js';
import { plainWord } from '../link/plain-word.js';
import type { ServerInfo } from '../link/server-info.js';
import type { LinkHandler } from '../link/types.js';
import { parseRefusal } from './refusal.js';

/** A message on the control connection. */
export interface ControlMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** @returns whether it asked for an answer */
  respond(payload?: Uint8Array): boolean;
  /** @throws SyntaxError if the payload is not JSON */
  json<T>(): T;
}

export interface ControlSubscription {
  unsubscribe(): void;
}

/** What one can ask of others over NATS. A connection of the `nats` package can do it too. */
export interface Requester {
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { timeout: number },
  ): Promise<Pick<ControlMessage, 'data' | 'json'>>;
  /** All answers that come within `maxWait` ms. */
  requestMany(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { maxWait: number },
  ): Promise<AsyncIterable<Pick<ControlMessage, 'data' | 'json'>>>;
}

/** Nobody listens on the subject of a request. */
export class NoRespondersError extends Error {
  override name = 'NoRespondersError';
  /** As the `nats` package has it. */
  readonly code = '503';
}

/** Requests that wait at a time. */
const MAX_REQUESTS = 10_000;
const MAX_ANSWERS = 10_000;
/** For answers that are begun already. */
const ANSWERING_MS = 500;
/** The server's answer to a request that nobody listens to: headers and no payload. */
const NO_RESPONDERS = 'NATS/1.0 503\r\n\r\n';

interface Asked {
  /** @param message undefined if nobody listens */
  answered(message: Message | undefined): void;
  failed(error: Error): void;
}

interface Taker {
  readonly subject: string;
  callback(error: Error | null, message: ControlMessage): void;
}

/**
 * The control connection, for what is rare: requests, status, talk of a group. It lives once: when it is down, there is another,
 * and everything subscribes there again.
 */
export class ControlConnection implements LinkHandler, Requester {
  readonly #clock: Clock;
  readonly #inbox = `_INBOX.${randomBytes(11).toString('hex')}.`;
  readonly #subscriptions = new Map<number, Taker>();
  readonly #asked = new Map<string, Asked>();
  #lastRequest = 0;
  #inboxSid = 0;
  #link: Link | undefined;
  #onIdle: (() => void) | undefined;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws Error naming the server and why it failed */
  static async connect(
    target: LinkTarget,
    events: LinkEvents,
    options: LinkOptions & { clock: Clock },
  ): Promise<ControlConnection> {
    const control = new ControlConnection(options.clock);
    const { connectFields } = target;
    control.#link = await Link.connect(
      {
        ...target,
        // A client that is gone is known at once, not after a timeout.
        connectFields: (info) => ({ ...connectFields?.(info), no_responders: info.headers }),
      },
      control,
      {
        ...events,
        onDown: (reason) => {
          control.#endAll(reason);
          events.onDown(reason);
        },
        onServerError: (text) => {
          control.#refused(text);
          events.onServerError?.(text);
        },
      },
      options,
    );
    control.#inboxSid = control.#link.subscribe(`${control.#inbox}*`);
    return control;
  }

  get serverInfo(): ServerInfo {
    return this.#up.serverInfo;
  }

  /** Bytes that a message may have. */
  get maxPayload(): number {
    return this.#up.maxPayload;
  }

  isClosed(): boolean {
    return !this.#up.isUp;
  }

  subscribe(subject: string, { callback }: { callback: Taker['callback'] }): ControlSubscription {
    const sid = this.#up.subscribe(subject);
    this.#subscriptions.set(sid, { subject, callback });
    return {
      unsubscribe: () => {
        if (this.#subscriptions.delete(sid)) this.#up.unsubscribe(sid);
      },
    };
  }

  /**
   * Dropped if the connection is down.
   * @throws TypeError if the subject is none; RangeError if the server does not take so much
   */
  publish(subject: string, payload: Uint8Array | string = '', { reply = '' } = {}): void {
    const link = this.#up;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    if (bytes.length > link.maxPayload)
      throw new RangeError(`a message of ${bytes.length} bytes: NATS takes up to ${link.maxPayload}`);
    plainWord(subject, 'subject');
    if (reply !== '') plainWord(reply, 'subject');
    const line = Buffer.from(`PUB ${subject} ${reply === '' ? '' : `${reply} `}${bytes.length}\r\n`);
    const out = link.takeBuffer();
    out.bytes(line, 0, line.length);
    out.reserve(bytes.length);
    out.buf.set(bytes, out.length);
    out.length += bytes.length;
    out.crlf();
    link.send(out);
  }

  /** @throws NoRespondersError; Error if there is no answer in time, or the connection is or goes down */
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    { timeout }: { timeout: number },
  ): Promise<ControlMessage> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        this.#forget(token);
      };
      const asked: Asked = {
        answered: (message) => {
          end();
          if (message === undefined) reject(new NoRespondersError(`nobody listens on ${subject}`));
          else resolve(message);
        },
        failed: (error) => {
          end();
          reject(error);
        },
      };
      const timer = this.#clock.setTimer(timeout, () =>
        asked.failed(new Error(`no answer on ${subject} within ${timeout} ms`)),
      );
      const token = this.#ask(subject, payload, asked);
    });
  }

  requestMany(
    subject: string,
    payload: Uint8Array | string | undefined,
    { maxWait }: { maxWait: number },
  ): Promise<AsyncIterable<ControlMessage>> {
    const all = new Promise<ControlMessage[]>((resolve, reject) => {
      const answers: ControlMessage[] = [];
      const end = (): void => {
        timer.cancel();
        this.#forget(token);
      };
      const asked: Asked = {
        answered: (message) => {
          if (message === undefined) asked.failed(new NoRespondersError(`nobody listens on ${subject}`));
          else if (answers.length < MAX_ANSWERS) answers.push(message);
        },
        failed: (error) => {
          end();
          reject(error);
        },
      };
      const timer = this.#clock.setTimer(maxWait, () => {
        end();
        resolve(answers);
      });
      const token = this.#ask(subject, payload, asked);
    });
    // Whoever goes through them gets it.
    all.catch(() => {});
    return Promise.resolve(iterate(all));
  }

  /** As `Link.flush`. */
  flush(): Promise<void> {
    return this.#up.flush();
  }

  /** Closes at once. */
  close(): void {
    this.#up.close();
    this.#endAll('closed');
  }

  /**
   * Another one has taken its place. It takes no more messages, and closes when what was begun on it is over: at the latest after
   * `maxMs`.
   */
  async retire(maxMs: number): Promise<void> {
    for (const sid of this.#subscriptions.keys()) this.#up.unsubscribe(sid);
    this.#subscriptions.clear();
    await this.#pass(ANSWERING_MS);
    if (this.#asked.size > 0 && !this.isClosed()) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimer(maxMs, resolve);
        this.#onIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.close();
  }

  onMessage(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const taker = this.#subscriptions.get(sid);
    if (taker === undefined && sid !== this.#inboxSid) return;
    const message = new Message(
      this,
      buffer.toString('utf8', subjectStart, subjectEnd),
      buffer.toString('utf8', replyStart, replyEnd),
      Buffer.from(buffer.subarray(payloadStart, payloadEnd)),
    );
    if (taker !== undefined) {
      taker.callback(null, message);
      return;
    }
    const isNobody =
      payloadStart === payloadEnd &&
      buffer.toString('latin1', Math.max(0, payloadStart - NO_RESPONDERS.length), payloadStart) ===
        NO_RESPONDERS;
    const asked = this.#asked.get(message.subject.slice(this.#inbox.length));
    asked?.answered(isNobody ? undefined : message);
  }

  onBatchEnd(): void {}

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(ms, resolve);
    });
  }

  get #up(): Link {
    if (this.#link === undefined) throw new Error('not connected to NATS yet');
    return this.#link;
  }

  /** @returns under which it waits for answers */
  #ask(subject: string, payload: Uint8Array | string | undefined, asked: Asked): string {
    const token = String(++this.#lastRequest);
    try {
      if (this.isClosed()) throw new Error('the control connection to NATS is down');
      if (this.#asked.size >= MAX_REQUESTS)
        throw new Error(`${MAX_REQUESTS} requests wait for answers already`);
      this.#asked.set(token, asked);
      this.publish(subject, payload, { reply: this.#inbox + token });
    } catch (error) {
      // Not before the caller has the token.
      queueMicrotask(() => asked.failed(error as Error));
    }
    return token;
  }

  #forget(token: string): void {
    if (this.#asked.delete(token) && this.#asked.size === 0) this.#onIdle?.();
  }

  #endAll(reason: string): void {
    const error = new Error(`the control connection to NATS is down: ${reason}`);
    for (const asked of [...this.#asked.values()]) asked.failed(error);
    this.#onIdle?.();
  }

  /** Whoever subscribed, or asked, learns of it too. */
  #refused(text: string): void {
    const { operation, subject } = parseRefusal('control', text);
    if (operation !== 'subscribe') return;
    for (const [sid, taker] of this.#subscriptions) {
      if (taker.subject !== subject) continue;
      this.#subscriptions.delete(sid);
      taker.callback(new Error(text), new Message(this, taker.subject, '', Buffer.alloc(0)));
    }
  }
}

class Message implements ControlMessage {
  readonly #control: ControlConnection;
  readonly #reply: string;

  constructor(
    control: ControlConnection,
    readonly subject: string,
    reply: string,
    readonly data: Buffer,
  ) {
    this.#control = control;
    this.#reply = reply;
  }

  respond(payload?: Uint8Array): boolean {
    if (this.#reply === '') return false;
    this.#control.publish(this.#reply, payload);
    return true;
  }

  json<T>(): T {
    return JSON.parse(this.data.toString()) as T;
  }
}

async function* iterate(answers: Promise<readonly ControlMessage[]>): AsyncGenerator<ControlMessage> {
  yield* await answers;
}
