import { nuid } from '@nats-io/transport-node';
import { decodePubAck } from '../protocol/messages.js';
import { isNoResponders } from './ask-broker.js';
import type { StanError } from './client-errors.js';
import type { ResolvedOptions } from './connect-options.js';
import type { StatusFeed } from './connection-status.js';
import { Flushes } from './flushes.js';
import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';
import { callOnAck, type OnAck, type Pending, refusedError, timeoutError, tooLargeError } from './pending.js';
import type { PubEncoder } from './pub-encoder.js';
import { publishIfOpen } from './publish-if-open.js';
import { PublishQueue } from './publish-queue.js';

/**
 * Flowing: messages are sent at once. Stalled: no broker is active, or no ack comes; the oldest message is sent again now and then,
 * to find out when that changes. Settling: an ack has come, and others may be on their way. Resending: messages without an ack
 * are sent again, in order.
 */
type Phase = 'flowing' | 'stalled' | 'settling' | 'resending';

/** The publisher stalls after this time without any ack while messages wait for one. */
const SILENCE_MS = 250;
const FIRST_PROBE_MS = 50;
const MAX_PROBE_MS = 1_000;
const PROBE_JITTER = 0.2;
/** Acks come in the order of the messages. A message that was overtaken this long ago was lost, or its ack was. */
const OVERTAKEN_MS = 100;
/** Settling ends after this time without another ack. */
const SETTLE_MS = 20;
/** Limit of messages that are sent again without waiting for acks. */
const RESEND_BATCH = 256;
const TICK_MS = 50;
const QUICK_TICK_MS = 10;
/** A tick that is later than this shows that the event loop was busy. */
const BUSY_MS = 50;
const GUID_TAG = 0x0a;
// Called on the bytes of each ack, it saves making a Buffer of them.
const { latin1Slice } = Buffer.prototype;

/**
 * Publishes with acks. A limited number of messages is without an ack; the others wait in order. A message without an ack is sent
 * again under its guid until its ack timeout. A broker that recognizes stored guids stores nothing twice.
 *
 * Messages are sent in the order of the calls, also through a takeover: while older messages may have been lost, no new one is
 * sent.
 */
export class Publisher {
  /** Whether messages without an ack are sent again. */
  canRetry = false;
  /** Nothing is sent while the connection is being resumed. */
  #isHeld = false;
  readonly #nats: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #status: StatusFeed;
  #encoder: PubEncoder;
  readonly #acks: NatsSubscription;
  readonly #reply: { reply: string };
  /** Sent messages without an ack, oldest first. */
  readonly #inFlight = new Map<string, Pending>();
  #inFlightBytes = 0;
  /** Messages that have not been sent. */
  readonly #queue: PublishQueue;
  #phase: Phase = 'flowing';
  #sendings = 0;
  /** The highest sending of the acked messages. */
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

  /** How many publishes have no answer yet. */
  get pending(): number {
    return this.#inFlight.size + this.#queue.length;
  }

  /**
   * Sends a message, or queues it.
   *
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

  /** Resolves when every message that was published before the call is answered. */
  flushed(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return this.#flushes.wait(this.#published, this.pending);
  }

  /** NATS is disconnected: sent messages may be lost, and no new ones are sent. */
  disconnected(): void {
    this.#stall('NATS is disconnected');
  }

  reconnected(): void {
    if (this.#phase !== 'stalled' || this.#isHeld) return;
    if (this.canRetry) this.#probe(performance.now());
    // Messages that were under way may have arrived, and cannot be sent again.
    else this.#flow();
  }

  /** Sends nothing until `release`. */
  hold(reason: string): void {
    this.#isHeld = true;
    this.#stall(reason);
  }

  /**
   * Goes on after `hold`, when the connection has been resumed.
   *
   * @param isSameSession whether the server recognizes the stored guids of this connection. If not, sent messages fail.
   * @param error makes the error for a sent message that may be stored or not
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

  /** Ends, and fails every message without an answer. */
  close(error: () => StanError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#acks.unsubscribe();
    const all = [...this.#inFlight.values(), ...this.#queue.takeAll()];
    this.#inFlight.clear();
    for (const pending of all) this.#callOnAck(pending, error());
  }

  #hasRoom(bytes: number): boolean {
    const { maxPubAcksInFlight, maxPubBytesInFlight } = this.#options;
    const { size } = this.#inFlight;
    // A single message larger than the limit is sent alone.
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
    publishIfOpen(this.#nats, pending.subject, pending.bytes, this.#reply);
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
    if (isNoResponders(message)) {
      if (this.canRetry) this.#stall('no broker is active');
      return;
    }
    const { data } = message;
    const length = data[1];
    let guid: string;
    let serverText = '';
    if (data[0] === GUID_TAG && data.length === length + 2) {
      // The fast path: an ack has the guid and no error.
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
    // A message that was sent twice gets a second ack.
    if (pending === undefined) return;
    this.#lastAckMs = performance.now();
    // A refusal may overtake acks, since it does not wait for the disk.
    if (serverText === '' && pending.sending > this.#ackedSending) this.#ackedSending = pending.sending;
    if (this.#phase === 'stalled' && this.canRetry && !this.#isHeld) this.#phase = 'settling';
    this.#answer(pending, serverText === '' ? undefined : refusedError(guid, serverText));
    if (this.#phase === 'flowing') this.#sendQueued();
    else if (this.#phase === 'resending') this.#resendMore();
  }

  #answer(pending: Pending, error: StanError | undefined): void {
    this.#inFlight.delete(pending.guid);
    this.#inFlightBytes -= pending.bytes.length;
    this.#callOnAck(pending, error);
  }

  #callOnAck(pending: Pending, error: StanError | undefined): void {
    // This comes first, since the callback may call `flush`.
    if (!this.#flushes.isEmpty) this.#flushes.count(pending.number);
    callOnAck(pending, error);
  }

  // The rest of this class handles missing acks.

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
    // While the event loop was busy, acks could not be read: that is no silence of the broker.
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

  /** Sends overtaken messages again. After a quick takeover a few messages are lost, and the new active acks those that follow. */
  #sendOvertaken(nowMs: number): void {
    for (const pending of this.#inFlight.values()) {
      const isOvertaken = pending.sending < this.#ackedSending && nowMs - pending.sentMs >= OVERTAKEN_MS;
      if (isOvertaken) this.#transmitAgain(pending, nowMs);
    }
  }

  /** Fails messages whose ack timeout is over. All have the same timeout, so the oldest expire first. */
  #expire(nowMs: number): void {
    const { ackTimeout } = this.#options;
    for (const pending of this.#inFlight.values()) {
      if (pending.deadlineMs > nowMs) break;
      this.#answer(pending, timeoutError(pending, ackTimeout));
    }
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      if (next.deadlineMs > nowMs) break;
      this.#queue.take();
      this.#callOnAck(next, timeoutError(next, ackTimeout));
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
      this.#status.emit({ type: 'publishingPaused', reason });
    }
    clearTimeout(this.#timer);
    this.#startTimer();
  }

  #planProbe(nowMs: number): void {
    this.#probeAtMs = nowMs + this.#probeMs * (1 + PROBE_JITTER * (2 * Math.random() - 1));
    this.#probeMs = Math.min(MAX_PROBE_MS, this.#probeMs * 2);
  }

  /** Sends one message, to find out whether a broker is active. More would flood a broker that is only slow. */
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

  /** Sends the next batch again once half of the last one is acked. */
  #resendMore(): void {
    const resend = this.#resend;
    const rest = resend.length - this.#resendNext;
    const outstanding = this.#inFlight.size - rest;
    if (rest > 0 && outstanding >= RESEND_BATCH / 2) return;
    const end = Math.min(resend.length, this.#resendNext + RESEND_BATCH);
    const nowMs = performance.now();
    for (; this.#resendNext < end; this.#resendNext++) {
      const pending = resend[this.#resendNext];
      if (this.#inFlight.has(pending.guid)) this.#transmitAgain(pending, nowMs);
    }
    if (this.#resendNext === resend.length) this.#flow();
  }

  #flow(): void {
    this.#phase = 'flowing';
    this.#resend = [];
    this.#lastAckMs = performance.now();
    this.#status.emit({ type: 'publishingResumed', sentAgain: this.#sentAgain });
    this.#sendQueued();
  }
}
