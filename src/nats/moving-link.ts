// The data link, and its move from one NATS server to another without losing or doubling a message.

import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Link } from '../link/link.js';
import type { LinkHandler } from '../link/link-handler.js';
import type { Pulse } from '../link/pings.js';
import type { ServerInfo } from '../link/server-info.js';
import type { OutBuffer } from '../link/writer.js';
import { type Offsets, Overlap } from './overlap.js';

/** The servers of a cluster announce subscriptions to each other. This long after both ends of the move know them, the others do too. */
const SETTLE_MS = 250;
/** Limit for a message to be routed from one server to the other. */
const ROUTE_MS = 2_000;
const PROBE_MS = 20;
/** How long the old server may take to answer before the link leaves it. */
const FLUSH_MS = 1_000;
/** How long the old link stays open, for answers that were begun there. */
const LINGER_MS = 2_000;

interface Subscription {
  readonly subject: string;
  readonly queue: string | undefined;
}

/**
 * The data link as the broker sees it: one object, also while it moves from one server of a cluster to another. When it is down, a new
 * one replaces it.
 */
export class MovingLink {
  #handler: LinkHandler;
  readonly #clock: Clock;
  readonly #onDrain: () => void;
  readonly #subscriptions = new Map<number, Subscription>();
  #lastSid = 0;
  /** The link on which everything is sent. */
  #link: Link;
  /** During a move, the link at the new server. Its messages are received already. */
  #next: Link | undefined;
  /** After a move, the link at the old server, until answers that were begun there have left. */
  #old: Link | undefined;
  /** Hands over what comes in, while two links may bring it. */
  #overlap: Overlap | undefined;
  /** Whether new deliveries wait until the old server has processed the earlier ones, which they would overtake. */
  #isPaused = false;

  constructor(link: Link, handler: LinkHandler, clock: Clock, onDrain: () => void) {
    this.#link = link;
    this.#handler = handler;
    this.#clock = clock;
    this.#onDrain = onDrain;
  }

  /** From now on another handler gets what comes in, from the link itself: nothing stands between them. */
  handOverTo(handler: LinkHandler): void {
    this.#handler = handler;
    if (this.#overlap === undefined) this.#link.handOverTo(handler);
    else this.#overlap.handOverTo(handler);
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

  /** Bytes received on the current link. */
  get receivedBytes(): number {
    return this.#link.receivedBytes;
  }

  /** As `Link.pulse`, of the current link. */
  get pulse(): Pulse {
    return this.#link.pulse;
  }

  /** Whether the server reads more slowly than it is sent to: send only what is necessary, until `onDrain`. */
  get isCongested(): boolean {
    return this.#isPaused || this.#link.isCongested;
  }

  /** As `Link.takeBuffer`. */
  takeBuffer(): OutBuffer {
    return this.#link.takeBuffer();
  }

  /** As `Link.send`. A buffer that was taken before a move is sent to the old server. */
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
    // The loss of `next` is no loss of this link.
    if (next === this.#next) await next?.flush().catch(() => {});
  }

  close(): void {
    for (const link of [this.#link, this.#next, this.#old]) link?.close();
    this.#next = this.#old = undefined;
  }

  /** Handles the loss of one of the links. @returns whether it was the last one, so that the data link is down */
  lost(link: Link): boolean {
    if (link === this.#next) {
      this.#next = undefined;
      this.#endOverlap(this.#link);
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
   * Moves to a link at another server of the same cluster. Messages of the old link are received until those of the new one are, so
   * no message is missed or handled twice.
   *
   * @returns why the move failed, with `next` closed; undefined if it succeeded
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
        return 'messages of this server do not arrive there: the two are not in one cluster, or its user may not subscribe to _INBOX.>';
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
    // One of the links was lost during the move.
    if (this.#link !== next) return 'the connection there was lost at once';
    for (const sid of this.#subscriptions.keys()) old.unsubscribe(sid);
    await this.#flushed(old);
    overlap.end();
    next.handOverTo(overlap.fromNew);
    this.#clock.setTimer(LINGER_MS, () => {
      old.close();
      if (this.#old === old) this.#old = undefined;
      if (this.#overlap === overlap) this.#endOverlap(next);
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
    this.#endOverlap(old);
    next.close();
  }

  /** One link alone brings what comes in. */
  #endOverlap(link: Link): void {
    this.#overlap = undefined;
    link.handOverTo(this.#handler);
  }

  /** Resolves when the server has processed everything sent before, does not answer in time, or is lost. */
  async #flushed(link: Link): Promise<void> {
    await Promise.race([link.flush().catch(() => {}), this.#pass(FLUSH_MS)]);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(ms, resolve);
    });
  }
}

/** Finds out whether messages sent to one server arrive at another. */
class RouteProbe implements LinkHandler {
  readonly subject = `_INBOX.${randomBytes(11).toString('hex')}.moved`;
  readonly sid: number;
  isHeard = false;
  readonly #others: LinkHandler;

  /** @param others receives all other messages */
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
