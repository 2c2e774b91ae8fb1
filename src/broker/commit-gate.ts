import type { Channel } from '../channel/channel.js';
import type { OutBuffer } from '../link/writer.js';
import type { BatchId } from '../store/types.js';
import type { BrokerLink } from './broker-link.js';

/**
 * Holds back what a batch led to until the batch is durable: acks and answers, already encoded, and which channels have
 * new messages to show. Nothing is said before it is durable.
 */
export class CommitGate {
  #link: BrokerLink | undefined;
  /** Oldest first. Two or three at most: one gathering, one being written, one being fenced. */
  readonly #held: HeldBatch[] = [];
  readonly #free: HeldBatch[] = [];

  linkUp(link: BrokerLink): void {
    this.#link = link;
  }

  /** Answers for the dead link are dropped with it. */
  linkDown(): void {
    this.#link = undefined;
    for (const held of this.#held) held.answers = undefined;
  }

  /** Where an answer that must wait for the batch is written. Undefined while there is no link. */
  answers(batch: BatchId): OutBuffer | undefined {
    const held = this.#hold(batch);
    if (held.answers === undefined && this.#link !== undefined) held.answers = this.#link.takeBuffer();
    return held.answers;
  }

  /** The channel got a message, `sequence`, in this batch. */
  appended(batch: BatchId, channel: Channel, sequence: number): void {
    const held = this.#hold(batch);
    if (channel.gatedIn === batch) {
      held.lastSequences[channel.gatedAt] = sequence;
      return;
    }
    channel.gatedIn = batch;
    channel.gatedAt = held.channels.length;
    held.channels.push(channel);
    held.lastSequences.push(sequence);
  }

  /** Runs when the batch is durable, after its answers have been sent, in the order of the calls. */
  afterCommit(batch: BatchId, action: () => void): void {
    this.#hold(batch).actions.push(action);
  }

  /**
   * All batches up to this one are durable: sends their answers, makes their messages visible.
   * @param onVisible called for each channel that got messages
   */
  release(batch: BatchId, onVisible: (channel: Channel) => void): void {
    while (this.#held.length > 0 && this.#held[0]!.batch <= batch) {
      const held = this.#held.shift()!;
      if (held.answers !== undefined) this.#link?.send(held.answers);
      const { channels, lastSequences } = held;
      for (let i = 0; i < channels.length; i++) {
        channels[i]!.visible = lastSequences[i]!;
        onVisible(channels[i]!);
      }
      for (const action of held.actions) action();
      held.clear();
      this.#free.push(held);
    }
  }

  #hold(batch: BatchId): HeldBatch {
    const last = this.#held[this.#held.length - 1];
    if (last !== undefined && last.batch === batch) return last;
    const held = this.#free.pop() ?? new HeldBatch();
    held.batch = batch;
    this.#held.push(held);
    return held;
  }
}

class HeldBatch {
  batch: BatchId = 0;
  answers: OutBuffer | undefined;
  readonly channels: Channel[] = [];
  readonly lastSequences: number[] = [];
  readonly actions: (() => void)[] = [];

  clear(): void {
    this.answers = undefined;
    this.channels.length = 0;
    this.lastSequences.length = 0;
    this.actions.length = 0;
  }
}
