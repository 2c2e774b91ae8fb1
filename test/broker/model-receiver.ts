import assert from 'node:assert/strict';
import type { MsgProto } from '../../src/protocol/messages.js';

/** Ack waits that end within 15 ms may be treated as ended; and the test looks every 50 ms only. */
const SLACK_MS = 15 + 50;

/** A channel as it must be. */
export class ModelChannel {
  readonly payloads: string[] = [''];
  /** Messages up to it are committed. */
  committed = 0;

  constructor(
    readonly name: string,
    private readonly maxMessages: number,
  ) {}

  get last(): number {
    return this.payloads.length - 1;
  }

  /** Oldest one that a limit has left. */
  get first(): number {
    return this.maxMessages === 0 ? 1 : Math.max(1, this.last - this.maxMessages + 1);
  }
}

/** One subscription as its client knows it: from the request until its end. */
export interface ModelSubscription {
  readonly receiver: Receiver;
  readonly clientId: string;
  readonly inbox: string;
  readonly maxInFlight: number;
  readonly ackWaitMs: number;
  ackInbox: string;
  isAnswered: boolean;
  isEnded: boolean;
  /** When it asked to be ended, if it did and the broker has not restarted since. */
  endedAtMs?: number;
}

interface Message {
  isAcked: boolean;
  /** -1 if unknown: the broker has restarted. */
  redeliveries: number;
  sentAtMs: number;
  /** Who has it in flight; nobody if the one who had it has left. */
  holder: ModelSubscription | undefined;
  /** It may come again before its ack wait has ended: it changed hands. */
  isFree: boolean;
  /** The broker restarted before it told the store of it: it may come as if it were new, acknowledged or not. */
  isForgotten: boolean;
}

/** What gets each message of a channel once: a regular subscription, a durable, a queue group. */
export class Receiver {
  readonly online = new Set<ModelSubscription>();
  /** The newest of those that it is or was. */
  newest: ModelSubscription | undefined;
  readonly messages = new Map<number, Message>();
  /** What happened since the store was last told everything. */
  readonly recent = new Set<number>();
  /** Highest sequence delivered, or the one before the start. */
  position: number;

  constructor(
    readonly key: string,
    readonly channel: ModelChannel,
    readonly start: number,
    readonly kind: { isDurable: boolean; isGroup: boolean },
  ) {
    this.position = start;
  }

  delivered(to: ModelSubscription, message: MsgProto, nowMs: number, isTimeChecked: boolean): void {
    const { sequence } = message;
    const context = `${this.key}: message ${sequence} to ${to.inbox}`;
    assert.ok(!to.isEnded, `${context} after its end`);
    assert.ok(to.isAnswered, `${context} before the answer to its request`);
    assert.ok(sequence <= this.channel.committed, `${context} before it is committed`);
    assert.equal(message.subject, this.channel.name, context);
    assert.equal(Buffer.from(message.data).toString(), this.channel.payloads[sequence], context);
    const known = this.messages.get(sequence);
    if (known?.isForgotten) {
      known.isForgotten = known.isAcked = false;
      known.redeliveries = message.redeliveryCount;
      this.#holds(known, to, nowMs);
    } else if (known === undefined) this.#first(to, message, nowMs, context);
    else this.#again(known, to, message, nowMs, isTimeChecked, context);
    this.recent.add(sequence);
  }

  #first(to: ModelSubscription, message: MsgProto, nowMs: number, context: string): void {
    const { sequence } = message;
    assert.equal(message.redelivered, false, `${context}: flagged, and never delivered before`);
    assert.equal(message.redeliveryCount, 0, context);
    assert.ok(sequence > this.position, `${context}: out of order, ${this.position} came before`);
    for (let skipped = this.position + 1; skipped < sequence; skipped++) {
      assert.ok(
        skipped < this.channel.first || this.messages.has(skipped),
        `${context}: ${skipped} was left out`,
      );
    }
    assert.ok(this.#inFlight(to, nowMs) < to.maxInFlight, `${context}: more than its MaxInflight`);
    this.position = sequence;
    this.messages.set(sequence, {
      isAcked: false,
      redeliveries: 0,
      sentAtMs: nowMs,
      holder: to,
      isFree: false,
      isForgotten: false,
    });
  }

  #again(
    known: Message,
    to: ModelSubscription,
    message: MsgProto,
    nowMs: number,
    isTimeChecked: boolean,
    context: string,
  ): void {
    assert.ok(!known.isAcked, `${context} after its ack`);
    assert.ok(message.redelivered, `${context} again, and not flagged`);
    if (known.redeliveries < 0) assert.ok(message.redeliveryCount > 0, context);
    else assert.equal(message.redeliveryCount, known.redeliveries + 1, `${context}: redelivery count`);
    known.redeliveries = message.redeliveryCount;
    if (isTimeChecked && !known.isFree && known.holder !== undefined) {
      const waitedMs = nowMs - known.sentAtMs;
      assert.ok(waitedMs >= known.holder.ackWaitMs - SLACK_MS, `${context} after ${waitedMs} ms only`);
    }
    if (this.kind.isGroup && known.holder !== to) {
      assert.ok(
        this.#inFlight(to, nowMs) < to.maxInFlight,
        `${context} from another member: more than its MaxInflight`,
      );
    }
    this.#holds(known, to, nowMs);
  }

  #holds(known: Message, to: ModelSubscription, nowMs: number): void {
    known.sentAtMs = nowMs;
    known.holder = to;
    known.isFree = false;
  }

  acked(sequence: number): void {
    const known = this.messages.get(sequence);
    if (known === undefined || known.isAcked) return;
    known.isAcked = true;
    this.recent.add(sequence);
  }

  /** At least so many it has: delivered to it, not acknowledged, and not dropped by a limit. */
  #inFlight(of: ModelSubscription, nowMs: number): number {
    let count = 0;
    for (const [sequence, { holder, isAcked, sentAtMs }] of this.messages) {
      if (holder !== of || isAcked || sequence < this.channel.first) continue;
      // If its client is silent, what is overdue may be waiting for another member.
      if (this.kind.isGroup && nowMs - sentAtMs >= of.ackWaitMs - SLACK_MS) continue;
      count++;
    }
    return count;
  }

  left(sub: ModelSubscription): void {
    sub.isEnded = true;
    this.online.delete(sub);
    for (const message of this.messages.values()) {
      if (message.holder !== sub) continue;
      message.holder = undefined;
      message.isFree = true;
    }
  }

  restarted(): void {
    for (const [sequence, message] of this.messages) {
      message.isFree = true;
      message.redeliveries = -1;
      if (!this.recent.has(sequence)) continue;
      message.isForgotten = true;
      message.holder = undefined;
    }
    this.recent.clear();
  }

  /** What it should have got, and has not acknowledged. */
  missing(): number[] {
    const missing: number[] = [];
    for (
      let sequence = Math.max(this.start + 1, this.channel.first);
      sequence <= this.channel.last;
      sequence++
    ) {
      if (!this.messages.get(sequence)?.isAcked) missing.push(sequence);
    }
    return missing;
  }
}
