import { nuid } from '@nats-io/transport-node';
import { decodePubAck } from '../protocol/messages.js';
import { isNobody } from './ask-broker.js';
import type { StanError } from './client-errors.js';
import type { ResolvedOptions } from './connect-options.js';
import type { StatusFeed } from './connection-status.js';
import { Flushes } from './flushes.js';
import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';
import { type OnAck, type Pending, refusedError, tell, timeoutError, tooLargeError } from './pending.js';
import type { PubEncoder } from './pub-encoder.js';
import { PublishQueue } from './publish-queue.js';
import { say } from './say.js';

/**
 * Flowing: what is published leaves at once. Stalled: nobody serves, or nothing is acknowledged; the oldest message is sent
 * again now and then, to find out when that changes. Settling: an ack has come, and others may be on their way.
 * Resending: what is still without an ack is sent again, in order.
 */
type Phase = 'flowing' | 'stalled' | 'settling' | 'resending';

/** Without any ack while messages wait for one. */
const SILENCE_MS = 250;
const FIRST_PROBE_MS = 50;
const MAX_PROBE_MS = 1_000;
const PROBE_JITTER = 0.2;
/** Acks come in the order of the messages: one that is overtaken for so long was lost, or its ack. */
const OVERTAKEN_MS = 100;
/** After the first ack: no other one has come for so long. */
const SETTLE_MS = 20;
/** Sent again at once, before acks are looked at. */
const RESEND_BATCH = 256;
const TICK_MS = 50;
const QUICK_TICK_MS = 10;
/** A tick so late tells that the event loop was busy. */
const BUSY_MS = 50;
const GUID_TAG = 0x0a;
// Works on any bytes, and spares an object for each ack.
const { latin1Slice } = Buffer.prototype;

/**
 * Publishes with acks: so many ahead of them, the others wait in order. A message without an ack is sent again under its guid
 * until its time is over; as far as the broker tells a guid that it has stored, nothing is stored twice.
 *
 * Messages leave in the order of the calls, also over a takeover: while older ones may have been lost, none that is new is
 * sent.
 */
export class Publisher {
  /** Whether what has no ack is sent again. */
  canRetry = false;
  /** The server cannot be reached for now: the connection is being resumed. */
  #isHeld = false;
  readonly #nats: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #status: StatusFeed;
  #encoder: PubEncoder;
  readonly #acks: NatsSubscription;
  readonly #reply: { reply: string };
  /** Sent and without an ack, oldest first. */
  readonly #inFlight = new Map<string, Pending>();
  #inFlightBytes = 0;
  /** Not sent yet. */
  readonly #queue: PublishQueue;
  #phase: Phase = 'flowing';
  #sendings = 0;
  /** The last sending of a message that is acked. */
  #ackedSending = 0;
  #lastAckMs = 0;
  #probeAtMs = 0;
  #probeMs = FIRST_PROBE_MS;
  #resend: Pending[] = [];
  #resendNext = 0;
  #sentAgain = 0;
  #timer: NodeJS.Timeout | undefined;
  #tickDueMs = 0;
  #published = 0;
  readonly #flushes = new Flushes();

  constructor(nats: NatsConnection, options: ResolvedOptions, status: StatusFeed, encoder: PubEncoder) {
    this.#nats = nats;
    this.#options = options;
    this.#status = status;
    this.#encoder = encoder;
    this.#queue = new PublishQueue(options.maxQueuedBytes);
    const inbox = newInbox(nats);
    this.#reply = { reply: inbox };
    this.#acks = listen(nats, inbox, (error, message) => {
      if (error === null) this.#onAnswer(message);
    });
  }

  /** Publishes that are not answered. */
  get pending(): number {
    return this.#inFlight.size + this.#queue.length;
  }

  /**
   * @returns the guid
   * @throws StanError if the message cannot be sent at all; then `onAck` is not called
   */
  publish(channelName: string, data: Uint8Array, onAck: OnAck): string {
    const channel = this.#encoder.channel(channelName);
    const guid = nuid.next();
    const bytes = this.#encoder.encode(channel, guid, data);
    const maxPayload = this.#nats.info?.max_payload;
    if (maxPayload !== undefined && bytes.length > maxPayload) {
      throw tooLargeError(guid, channelName, data.length, maxPayload);
    }
    const nowMs = performance.now();
    const pending: Pending = {
      number: this.#published + 1,
      guid,
      subject: channel.subject,
      bytes,
      deadlineMs: nowMs + this.#options.ackTimeout,
      onAck,
      sending: 0,
      sentMs: 0,
    };
    if (this.#phase === 'flowing' && this.#queue.length === 0 && this.#hasRoom(bytes.length)) {
      this.#send(pending, nowMs);
    } else {
      this.#queue.add(pending, channelName);
    }
    this.#published++;
    if (this.#timer === undefined) this.#startTimer();
    return guid;
  }

  /** Ends when everything that was published until now is answered. */
  flushed(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return this.#flushes.wait(this.#published, this.pending);
  }

  /** NATS is gone: what is under way may be lost, and nothing new is sent. */
  disconnected(): void {
    this.#stall('NATS is disconnected');
  }

  reconnected(): void {
    if (this.#phase !== 'stalled' || this.#isHeld) return;
    if (this.canRetry) this.#probe(performance.now());
    // What was under way may have arrived: it is not sent again.
    else this.#flow();
  }

  /** Nothing is sent until `release`. */
  hold(reason: string): void {
    this.#isHeld = true;
    this.#stall(reason);
  }

  /**
   * The server is there again.
   *
   * @param isSameSession it tells what it has stored of this connection's guids. If not, nothing that was sent is sent again.
   * @param error for what was sent and is not known to be stored
   */
  release(encoder: PubEncoder, isSameSession: boolean, error: () => StanError): void {
    this.#isHeld = false;
    this.#encoder = encoder;
    if (!isSameSession) {
      for (const pending of [...this.#inFlight.values()]) this.#answer(pending, error());
    }
    if (this.canRetry) this.#probe(performance.now());
    else this.#flow();
  }

  /** Fails everything that waits. */
  close(error: () => StanError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#acks.unsubscribe();
    const all = [...this.#inFlight.values(), ...this.#queue.takeAll()];
    this.#inFlight.clear();
    for (const pending of all) this.#tell(pending, error());
  }

  #hasRoom(bytes: number): boolean {
    const { maxPubAcksInFlight, maxPubBytesInFlight } = this.#options;
    const { size } = this.#inFlight;
    // One message may be larger than the bound: it goes alone.
    return size < maxPubAcksInFlight && (size === 0 || this.#inFlightBytes + bytes <= maxPubBytesInFlight);
  }

  #send(pending: Pending, nowMs: number): void {
    if (this.#inFlight.size === 0) this.#lastAckMs = nowMs;
    this.#inFlight.set(pending.guid, pending);
    this.#inFlightBytes += pending.bytes.length;
    this.#transmit(pending, nowMs);
  }

  #transmit(pending: Pending, nowMs: number): void {
    pending.sending = ++this.#sendings;
    pending.sentMs = nowMs;
    say(this.#nats, pending.subject, pending.bytes, this.#reply);
  }

  #transmitAgain(pending: Pending, nowMs: number): void {
    this.#sentAgain++;
    this.#transmit(pending, nowMs);
  }

  #sendQueued(): void {
    if (this.#phase !== 'flowing' || this.#queue.length === 0) return;
    const nowMs = performance.now();
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      if (!this.#hasRoom(next.bytes.length)) break;
      this.#queue.take();
      this.#send(next, nowMs);
    }
  }

  #onAnswer(message: NatsMessage): void {
    if (isNobody(message)) {
      if (this.canRetry) this.#stall('nobody serves the channel');
      return;
    }
    const { data } = message;
    const length = data[1]!;
    let guid: string;
    let serverText = '';
    if (data[0] === GUID_TAG && data.length === length + 2) {
      // What every ack is: the guid, and no error.
      guid = latin1Slice.call(data as Buffer, 2);
    } else {
      try {
        const ack = decodePubAck(data);
        guid = ack.guid;
        serverText = ack.error;
      } catch {
        return;
      }
    }
    const pending = this.#inFlight.get(guid);
    // Of what was sent twice, the second ack.
    if (pending === undefined) return;
    this.#lastAckMs = performance.now();
    // A refusal does not wait for the disk, and overtakes.
    if (serverText === '' && pending.sending > this.#ackedSending) this.#ackedSending = pending.sending;
    if (this.#phase === 'stalled' && this.canRetry && !this.#isHeld) this.#phase = 'settling';
    this.#answer(pending, serverText === '' ? undefined : refusedError(guid, serverText));
    if (this.#phase === 'flowing') this.#sendQueued();
    else if (this.#phase === 'resending') this.#resendMore();
  }

  #answer(pending: Pending, error: StanError | undefined): void {
    this.#inFlight.delete(pending.guid);
    this.#inFlightBytes -= pending.bytes.length;
    this.#tell(pending, error);
  }

  #tell(pending: Pending, error: StanError | undefined): void {
    // First, since the callback may ask for another one.
    if (!this.#flushes.isEmpty) this.#flushes.count(pending.number);
    tell(pending, error);
  }

  // What follows is for when acks do not come.

  #startTimer(): void {
    const ms = this.#phase === 'flowing' ? TICK_MS : QUICK_TICK_MS;
    this.#tickDueMs = performance.now() + ms;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tick(performance.now());
      if (this.pending > 0 && this.#timer === undefined) this.#startTimer();
    }, ms);
  }

  #tick(nowMs: number): void {
    // A program that kept the event loop busy has not read its acks: that is no silence.
    if (nowMs - this.#tickDueMs > BUSY_MS) this.#lastAckMs = nowMs;
    this.#expire(nowMs);
    switch (this.#phase) {
      case 'flowing':
        if (!this.canRetry || this.#inFlight.size === 0) return;
        if (nowMs - this.#lastAckMs >= SILENCE_MS) this.#stall(`no ack for ${SILENCE_MS} ms`);
        else this.#sendOvertaken(nowMs);
        return;
      case 'stalled':
        if (nowMs >= this.#probeAtMs && this.canRetry && !this.#isHeld) this.#probe(nowMs);
        return;
      case 'settling':
        if (nowMs - this.#lastAckMs >= SETTLE_MS || this.#inFlight.size === 0) this.#beginResend();
        return;
      case 'resending':
        if (nowMs - this.#lastAckMs >= SILENCE_MS) this.#stall(`no ack for ${SILENCE_MS} ms`);
        return;
    }
  }

  /** A takeover that was quick: a few messages went with the former active, and the next one acks what came after them. */
  #sendOvertaken(nowMs: number): void {
    for (const pending of this.#inFlight.values()) {
      const isOvertaken = pending.sending < this.#ackedSending && nowMs - pending.sentMs >= OVERTAKEN_MS;
      if (isOvertaken) this.#transmitAgain(pending, nowMs);
    }
  }

  /** All have the same time to live, so the oldest are the first to go. */
  #expire(nowMs: number): void {
    const { ackTimeout } = this.#options;
    for (const pending of this.#inFlight.values()) {
      if (pending.deadlineMs > nowMs) break;
      this.#answer(pending, timeoutError(pending, ackTimeout));
    }
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      if (next.deadlineMs > nowMs) break;
      this.#queue.take();
      this.#tell(next, timeoutError(next, ackTimeout));
    }
    this.#sendQueued();
  }

  #stall(reason: string): void {
    if (this.#phase === 'stalled') return;
    const wasFlowing = this.#phase === 'flowing';
    this.#phase = 'stalled';
    this.#resend = [];
    this.#probeMs = FIRST_PROBE_MS;
    this.#planProbe(performance.now());
    if (wasFlowing) {
      this.#sentAgain = 0;
      this.#status.tell({ type: 'publishingPaused', reason });
    }
    clearTimeout(this.#timer);
    this.#startTimer();
  }

  #planProbe(nowMs: number): void {
    this.#probeAtMs = nowMs + this.#probeMs * (1 + PROBE_JITTER * (2 * Math.random() - 1));
    this.#probeMs = Math.min(MAX_PROBE_MS, this.#probeMs * 2);
  }

  /** One message tells whether somebody serves: more would flood who is only slow. */
  #probe(nowMs: number): void {
    this.#planProbe(nowMs);
    const [oldest] = this.#inFlight.values();
    if (oldest !== undefined) {
      this.#transmitAgain(oldest, nowMs);
      return;
    }
    const next = this.#queue.take();
    if (next !== undefined) this.#send(next, nowMs);
    else this.#flow();
  }

  #beginResend(): void {
    this.#phase = 'resending';
    this.#resend = [...this.#inFlight.values()];
    this.#resendNext = 0;
    this.#resendMore();
  }

  /** No more than a batch without an ack at a time. */
  #resendMore(): void {
    const resend = this.#resend;
    const rest = resend.length - this.#resendNext;
    const outstanding = this.#inFlight.size - rest;
    if (rest > 0 && outstanding >= RESEND_BATCH / 2) return;
    const end = Math.min(resend.length, this.#resendNext + RESEND_BATCH);
    const nowMs = performance.now();
    for (; this.#resendNext < end; this.#resendNext++) {
      const pending = resend[this.#resendNext]!;
      if (this.#inFlight.has(pending.guid)) this.#transmitAgain(pending, nowMs);
    }
    if (this.#resendNext === resend.length) this.#flow();
  }

  #flow(): void {
    this.#phase = 'flowing';
    this.#resend = [];
    this.#lastAckMs = performance.now();
    this.#status.tell({ type: 'publishingResumed', sentAgain: this.#sentAgain });
    this.#sendQueued();
  }
}
