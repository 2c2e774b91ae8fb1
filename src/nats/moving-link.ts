import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Link } from '../link/link.js';
import type { LinkHandler } from '../link/link-handler.js';
import type { ServerInfo } from '../link/server-info.js';
import type { OutBuffer } from '../link/writer.js';
import { type Offsets, Overlap } from './overlap.js';

/** The servers of a cluster tell each other of subscriptions; where both ends of the link know, the others have been told too. */
const SETTLE_MS = 250;
/** For a message to come from one server by way of the other. */
const ROUTE_MS = 2_000;
const PROBE_MS = 20;
/** For a server to answer, before it is left. */
const FLUSH_MS = 1_000;
/** Answers that were begun on the old link leave there. */
const LINGER_MS = 2_000;

interface Subscription {
  readonly subject: string;
  readonly queue: string | undefined;
}

/**
 * The data link as the broker has it: it stays the same while it moves from one server of a cluster to another. It lives once: when it
 * is down, there is a new one.
 */
export class MovingLink {
  readonly #handler: LinkHandler;
  readonly #clock: Clock;
  readonly #onDrain: () => void;
  readonly #subscriptions = new Map<number, Subscription>();
  #lastSid = 0;
  /** Where everything is sent. */
  #link: Link;
  /** Heard already, while it moves there. */
  #next: Link | undefined;
  /** The one before, while what was begun there still leaves. */
  #old: Link | undefined;
  #overlap: Overlap | undefined;
  /** New deliveries wait until the old server has dealt with those before: they would overtake them. */
  #isPaused = false;

  constructor(link: Link, handler: LinkHandler, clock: Clock, onDrain: () => void) {
    this.#link = link;
    this.#handler = handler;
    this.#clock = clock;
    this.#onDrain = onDrain;
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  get serverInfo(): ServerInfo {
    return this.#link.serverInfo;
  }

  /** Largest payload that the server takes, in bytes. */
  get maxPayload(): number {
    const next = this.#next;
    return next === undefined
      ? this.#link.maxPayload
      : Math.min(this.#link.maxPayload, next.serverInfo.maxPayload);
  }

  get backlogBytes(): number {
    return this.#link.backlogBytes;
  }

  /** Bytes that have come in, from where it is. */
  get receivedBytes(): number {
    return this.#link.receivedBytes;
  }

  /** The server takes less than it is given: send only what must be, until `onDrain`. */
  get isCongested(): boolean {
    return this.#isPaused || this.#link.isCongested;
  }

  /** As `Link.takeBuffer`. */
  takeBuffer(): OutBuffer {
    return this.#link.takeBuffer();
  }

  /** As `Link.send`. What was begun before it has moved leaves by way of the old server. */
  send(out: OutBuffer): void {
    if (this.#old?.owns(out)) this.#old.send(out);
    else this.#link.send(out);
  }

  /** As `Link.subscribe`. */
  subscribe(subject: string, queue?: string): number {
    const sid = ++this.#lastSid;
    this.#link.subscribe(subject, queue, sid);
    this.#next?.subscribe(subject, queue, sid);
    this.#subscriptions.set(sid, { subject, queue });
    return sid;
  }

  unsubscribe(sid: number): void {
    if (!this.#subscriptions.delete(sid)) return;
    this.#link.unsubscribe(sid);
    this.#next?.unsubscribe(sid);
  }

  /** As `Link.flush`. */
  async flush(): Promise<void> {
    const next = this.#next;
    await this.#link.flush();
    // Its loss is no loss of this link.
    if (next === this.#next) await next?.flush().catch(() => {});
  }

  close(): void {
    for (const link of [this.#link, this.#next, this.#old]) link?.close();
    this.#next = this.#old = undefined;
  }

  /** @returns whether this was all: nothing is heard or sent any more */
  lost(link: Link): boolean {
    if (link === this.#next) {
      this.#next = undefined;
      this.#link.handOverTo(this.#handler);
    } else if (link === this.#old) {
      this.#old = undefined;
      this.#overlap?.end();
    } else if (link === this.#link) {
      if (this.#next === undefined) {
        this.close();
        return true;
      }
      this.#switchTo(this.#next);
      this.#overlap?.end();
    }
    return false;
  }

  /**
   * Moves to a link at another server of the same cluster. The old one is heard until the new one is, so that nothing that anybody
   * sends meanwhile is missed or comes twice.
   *
   * @returns why it has not moved, and has closed the new one; undefined if it has
   */
  async moveTo(next: Link): Promise<string | undefined> {
    const old = this.#link;
    const overlap = new Overlap(this.#handler);
    this.#overlap = overlap;
    this.#next = next;
    const probe = new RouteProbe(overlap.fromNew, ++this.#lastSid);
    old.handOverTo(overlap.fromOld);
    next.handOverTo(probe);
    for (const [sid, { subject, queue }] of this.#subscriptions) next.subscribe(subject, queue, sid);
    next.subscribe(probe.subject, undefined, probe.sid);
    await next.flush().catch(() => {});
    for (let waitedMs = 0; this.#next === next && !probe.isHeard; waitedMs += PROBE_MS) {
      if (waitedMs >= ROUTE_MS) {
        this.#giveUp(old, next);
        return 'what is sent by way of this server is not heard there: they are not in one cluster, or its user may not subscribe to _INBOX.>';
      }
      probe.send(old);
      await this.#pass(PROBE_MS);
    }
    next.unsubscribe(probe.sid);
    if (this.#next === next) await this.#pass(SETTLE_MS);
    if (this.#next === next) {
      this.#isPaused = true;
      await this.#flushed(old);
      if (this.#next === next) this.#switchTo(next);
      this.#isPaused = false;
      if (this.isUp) this.#onDrain();
    }
    // One of them was lost on the way.
    if (this.#link !== next) return 'the connection there was lost at once';
    for (const sid of this.#subscriptions.keys()) old.unsubscribe(sid);
    await this.#flushed(old);
    overlap.end();
    next.handOverTo(overlap.fromNew);
    this.#clock.setTimer(LINGER_MS, () => {
      old.close();
      if (this.#old === old) this.#old = undefined;
      if (this.#overlap === overlap) next.handOverTo(this.#handler);
    });
    return undefined;
  }

  #switchTo(next: Link): void {
    this.#old = this.#link;
    this.#link = next;
    this.#next = undefined;
  }

  #giveUp(old: Link, next: Link): void {
    this.#next = undefined;
    old.handOverTo(this.#handler);
    next.close();
  }

  /** Resolves when the server has dealt with everything before; also if it does not answer, or is lost. */
  async #flushed(link: Link): Promise<void> {
    await Promise.race([link.flush().catch(() => {}), this.#pass(FLUSH_MS)]);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(ms, resolve);
    });
  }
}

/** Finds out whether what is sent by way of one server is heard at another. */
class RouteProbe implements LinkHandler {
  readonly subject = `_INBOX.${randomBytes(11).toString('hex')}.moved`;
  readonly sid: number;
  isHeard = false;
  readonly #others: LinkHandler;

  /** @param others gets all other messages */
  constructor(others: LinkHandler, sid: number) {
    this.#others = others;
    this.sid = sid;
  }

  send(by: Link): void {
    const name = Buffer.from(this.subject);
    const out = by.takeBuffer();
    out.pub(name, 0, name.length, 0);
    out.crlf();
    by.send(out);
  }

  onMessage(sid: number, buffer: Buffer, ...offsets: Offsets): void {
    if (sid === this.sid) this.isHeard = true;
    else this.#others.onMessage(sid, buffer, ...offsets);
  }

  onBatchEnd(): void {
    this.#others.onBatchEnd();
  }
}
