import type { Clock } from '../../clock/clock.js';
import type { OutBuffer } from '../../link/writer.js';
import type { Histogram } from '../../measures/histogram.js';
import type { BatchId } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import type { BrokerLink } from '../state/broker-link.js';
import type { Channel } from '../state/channel.js';

/**
 * Holds back what a batch led to until the batch is durable: acks and answers, already encoded, and which channels have
 * new messages to show. Nothing is said before it is durable.
 */
export class CommitGate {
  #link: BrokerLink | undefined;
  /** Oldest first. Two or three at most: one gathering, one being written, one being fenced. */
  readonly #held: HeldBatch[] = [];
  readonly #free: HeldBatch[] = [];
  #newest: HeldBatch | undefined;
  readonly #clock: Clock;
  readonly #publishAck: Histogram;

  /** @param publishAck see `Measures` */
  constructor(clock: Clock, publishAck: Histogram) {
    this.#clock = clock;
    this.#publishAck = publishAck;
  }

  linkUp(link: BrokerLink): void {
    this.#link = link;
    // The gathering batch may have begun before.
    if (this.#newest !== undefined) this.#newest.answers = link.takeBuffer();
  }

  /** Answers for the dead link are dropped with it. */
  linkDown(): void {
    this.#link = undefined;
    for (const held of this.#held) held.answers = undefined;
  }

  /** What waits for this batch: the gathering one, the newest there is. */
  hold(batch: BatchId): HeldBatch {
    const newest = this.#newest;
    if (newest !== undefined && newest.batch === batch) return newest;
    assert(
      newest === undefined || newest.batch < batch,
      'what waits for a batch waits behind all older ones',
    );
    const held = this.#free.pop() ?? new HeldBatch();
    held.batch = batch;
    held.begunMs = this.#clock.monotonicMs();
    held.answers = this.#link?.takeBuffer();
    this.#held.push(held);
    this.#newest = held;
    return held;
  }

  /** Where an answer is written that may not go before the batch is durable. @returns undefined without a link */
  answersBehind(batch: BatchId): OutBuffer | undefined {
    const newest = this.#newest;
    return (newest !== undefined && newest.batch >= batch ? newest : this.hold(batch)).answers;
  }

  /** Runs when the batch is durable, after its answers have been written, in the order of the calls. */
  afterCommit(batch: BatchId, action: () => void): void {
    this.hold(batch).actions.push(action);
  }

  /**
   * All batches up to this one are durable: makes their messages visible, and sends their answers behind them. A client that
   * publishes what it subscribes to has each message when the ack comes, and some ask no further then: the Go server's order.
   */
  release(batch: BatchId, output: GateOutput): void {
    for (let held = this.#held[0]; held !== undefined && held.batch <= batch; held = this.#held[0]) {
      this.#held.shift();
      const { answers, messages, actions } = held;
      held.show(output);
      if (answers !== undefined) {
        output.answer(answers, actions.length > 0);
        if (messages > 0) {
          this.#publishAck.observe((this.#clock.monotonicMs() - held.begunMs) / 1e3, messages);
        }
      }
      for (const action of actions) action();
      if (held === this.#newest) this.#newest = undefined;
      held.clear();
      this.#free.push(held);
    }
  }
}

/** Where what a batch held back goes. */
export interface GateOutput {
  /** The channel has new visible messages. */
  deliver(channel: Channel): void;
  /**
   * Sends answers behind what was delivered, and takes the buffer over.
   * @param isMoreToCome they are better sent together with what follows in this turn
   */
  answer(answers: OutBuffer, isMoreToCome: boolean): void;
}

/** One batch's share of the gate. */
export class HeldBatch {
  batch: BatchId = 0;
  /** On the monotonic clock. */
  begunMs = 0;
  /** From publishers. */
  messages = 0;
  /** Where answers that must wait are written. Undefined without a link: no client would hear them. */
  answers: OutBuffer | undefined;
  readonly channels: Channel[] = [];
  readonly lastSequences: number[] = [];
  readonly actions: (() => void)[] = [];

  /** The channel got a message, `sequence`, in this batch. */
  appended(channel: Channel, sequence: number): void {
    this.messages++;
    const { gate } = channel;
    if (gate.batch === this.batch) {
      this.lastSequences[gate.index] = sequence;
      return;
    }
    gate.batch = this.batch;
    gate.index = this.channels.length;
    this.channels.push(channel);
    this.lastSequences.push(sequence);
  }

  /** The batch is durable: its messages may be seen. */
  show(output: GateOutput): void {
    const { channels, lastSequences } = this;
    for (let i = 0; i < channels.length; i++) {
      const channel = channels[i];
      const last = lastSequences[i];
      assert(
        channel !== undefined && last !== undefined,
        'each channel of a batch has a last sequence in it',
      );
      assert(last > channel.visible, 'each batch shows newer messages than the one before');
      channel.visible = last;
      output.deliver(channel);
    }
  }

  clear(): void {
    this.answers = undefined;
    this.messages = 0;
    this.channels.length = 0;
    this.lastSequences.length = 0;
    this.actions.length = 0;
  }
}
