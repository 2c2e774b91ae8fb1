import type { Clock } from '../../clock/clock.js';
import type { OutBuffer } from '../../link/writer.js';
import { assert } from '../../util/assert.js';
import type { BrokerLink } from '../state/broker-link.js';

/** Answers of up to this size are copied behind the turn's messages, to leave by one write with them. */
const COPIED_ANSWER_BYTES = 16 * 1024;

export interface TurnOptions {
  clock: Clock;
  /** The last work of each turn, before its output leaves. */
  atEnd: () => void;
  /** Gets what the work has thrown: nothing expects that. */
  onBroken: (thrown: unknown) => void;
}

/**
 * A turn is a stretch of the broker's work that waits for nothing: all messages of one read, a batch that became durable, a
 * timer. It owns the output buffer of the broker: what its work writes leaves by one write when it ends, a large output before that.
 *
 * A handler that has waited, for a ping or for the disk, goes on in a turn of its own. A turn that is run within another
 * one is a part of that one: its output leaves with the outer one's.
 */
export class Turn {
  readonly #clock: Clock;
  readonly #atEnd: () => void;
  readonly #onBroken: (thrown: unknown) => void;
  #link: BrokerLink | undefined;
  #out: OutBuffer | undefined;
  #nowMs = 0;
  /** Messages of a read have come, and more of them may follow. */
  #isRead = false;
  #isRunning = false;
  #isClosed = false;

  constructor({ clock, atEnd, onBroken }: TurnOptions) {
    this.#clock = clock;
    this.#atEnd = atEnd;
    this.#onBroken = onBroken;
  }

  /** Where output goes; undefined while there is no link. */
  get link(): BrokerLink | undefined {
    return this.#link;
  }

  /** Largest payload that may be written, in bytes. Without a link nothing is written, so that there is no limit. */
  get maxPayload(): number {
    return this.#link?.maxPayload ?? Number.POSITIVE_INFINITY;
  }

  /** When the turn began, on the monotonic clock. A turn within it counts from its own beginning, and so does what follows. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Buffer for what goes out in this turn. Undefined while there is no link. */
  get out(): OutBuffer | undefined {
    assert(this.#isRunning || this.#isRead, 'output is written in a turn, which sends it');
    if (this.#out === undefined && this.#link !== undefined) this.#out = this.#link.takeBuffer();
    return this.#out;
  }

  linkUp(link: BrokerLink): void {
    this.#link = link;
    this.#out = undefined;
  }

  /** What was to be sent is dropped with the link. */
  linkDown(): void {
    this.#link = this.#out = undefined;
    this.#isRead = false;
  }

  /** A message of a read has come. The first one begins a turn, which lasts until the link has handed all over: see `run`. */
  read(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.#nowMs = this.#clock.monotonicMs();
  }

  /**
   * Does the body's work, what is to be done at the end of a turn, and sends what was written. If there was a read before it,
   * this is the end of the read's turn. If anything throws, nothing is sent: the last line may have been written in part.
   */
  run(body: () => void): void {
    this.#nowMs = this.#clock.monotonicMs();
    if (this.#isRunning) {
      body();
      return;
    }
    this.#isRunning = true;
    try {
      body();
      this.#atEnd();
    } catch (error) {
      this.#out = undefined;
      this.#onBroken(error);
    } finally {
      this.#isRunning = this.#isRead = false;
    }
    this.send();
    // By the next turn the link may have moved to another server, and drops a buffer of the connection before.
    this.#out = undefined;
  }

  /** A handler that has waited goes on, unless the broker takes nothing more by now: then what it wanted to do is dropped. */
  resume(body: () => void): void {
    if (!this.#isClosed) this.run(body);
  }

  /** Sees to a handler that waits beyond its turn. What it throws counts as if a turn had thrown it. */
  follow(work: Promise<void>): void {
    work.catch(this.#onBroken);
  }

  /** Handlers that wait do not go on after this. A batch that becomes durable still has its turn. */
  close(): void {
    this.#isClosed = true;
  }

  /** Sends what has been written so far. The end of the turn does so; a large output does not wait for it. */
  send(): void {
    const out = this.#out;
    if (out === undefined || out.length === 0) return;
    this.#out = undefined;
    this.#link?.send(out);
  }

  /**
   * Sends answers behind what has been written in this turn, and takes the buffer over.
   * @param isMoreToCome the turn will write more
   */
  answer(answers: OutBuffer, isMoreToCome: boolean): void {
    const isAlone = !isMoreToCome && (this.#out === undefined || this.#out.length === 0);
    if (!isAlone && answers.length <= COPIED_ANSWER_BYTES) {
      this.out?.bytes(answers.buf, 0, answers.length);
      answers.reset();
    } else {
      this.send();
    }
    this.#link?.send(answers);
  }
}
