import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../../src/clock/clock.js';
import { newPubMsgView, type PubMsgView } from '../../src/protocol/pubmsg.js';
import { Progress } from '../../src/store/types/progress.js';
import type {
  BatchId,
  ChannelLog,
  LogLimits,
  MessageRef,
  SequenceRanges,
  SnapshotSink,
  Store,
  StoreHost,
} from '../../src/store/types/store.js';

export const NO_LIMITS: LogLimits = { maxMessages: 0, maxBytes: 0, maxAgeMs: 0 };

export const random = (size: number): Uint8Array => randomBytes(size);

/** A clock whose wall time a test sets; timers are the machine's. */
export class TestClock implements Clock {
  wallMs = 1_700_000_000_000;
  #passedMs = 0;

  monotonicMs(): number {
    return performance.now() + this.#passedMs;
  }

  /** Time passes, by both clocks. A wall clock that is set by itself jumps. */
  pass(ms: number): void {
    this.wallMs += ms;
    this.#passedMs += ms;
  }

  wallNs(): bigint {
    return BigInt(this.wallMs) * 1_000_000n;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }
}

/** A clock on which timers of one length end at once. */
export class HastyClock extends TestClock {
  readonly #hastyMs: number;

  constructor(hastyMs: number) {
    super();
    this.#hastyMs = hastyMs;
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    return super.setTimer(delayMs === this.#hastyMs ? 1 : delayMs, callback);
  }
}

/** A clock on which timers of one length end when the test wants it. */
export class HeldClock extends TestClock {
  readonly #heldMs: number;
  readonly #held = new Set<() => void>();

  constructor(heldMs: number) {
    super();
    this.#heldMs = heldMs;
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    if (delayMs !== this.#heldMs) return super.setTimer(delayMs, callback);
    const end = (): void => callback();
    this.#held.add(end);
    return { cancel: () => this.#held.delete(end) };
  }

  end(): void {
    for (const callback of this.#held) callback();
    this.#held.clear();
  }
}

/** What a subscription has been given and has acknowledged: flat ranges. */
export function progressOf(id: number, delivered: SequenceRanges, acked: SequenceRanges): Progress {
  const progress = new Progress(id, false);
  progress.delivered.push(...delivered);
  progress.acked.push(...acked);
  return progress;
}

/** A PubMsg as the broker sees it: all fields in one buffer. */
export function pubMsg(channel: string, data: string | Uint8Array, guid = 'guid-0'): PubMsgView {
  const view = newPubMsgView();
  const guidBytes = Buffer.from(guid);
  const subject = Buffer.from(channel);
  const payload = Buffer.from(data as string);
  view.buffer = Buffer.concat([guidBytes, subject, payload]);
  view.guidEnd = guidBytes.length;
  view.subjectStart = view.guidEnd;
  view.subjectEnd = view.subjectStart + subject.length;
  view.dataStart = view.subjectEnd;
  view.dataEnd = view.buffer.length;
  return view;
}

/** The payload of an encoded MsgProto: field 4. */
export function payloadOf(ref: MessageRef): string {
  return field(ref, 4)?.toString() ?? '';
}

function field(ref: MessageRef, wanted: number): Buffer | undefined {
  let pos = ref.start;
  while (pos < ref.end) {
    const tag = ref.buffer[pos++]!;
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = ref.buffer[pos++]!;
      value += (byte & 127) * unit;
      unit *= 128;
      if (byte < 128) break;
    }
    if ((tag & 7) !== 2) continue;
    if (tag >> 3 === wanted) return ref.buffer.subarray(pos, pos + value);
    pos += value;
  }
  return undefined;
}

/** Reads a message wherever it is. @returns undefined if it is not in the log */
export async function read(log: ChannelLog, sequence: number): Promise<string | undefined> {
  const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  if (sequence < log.firstSequence || sequence > log.lastSequence) return undefined;
  if (!log.find(sequence, ref)) {
    await log.load(sequence);
    if (!log.find(sequence, ref)) return undefined;
  }
  return payloadOf(ref);
}

export async function readAll(log: ChannelLog): Promise<string[]> {
  const all: string[] = [];
  for (let sequence = log.firstSequence; sequence <= log.lastSequence; sequence++) {
    all.push((await read(log, sequence)) ?? `missing ${sequence}`);
  }
  return all;
}

/** A broker's side of a store: waits for commits, and answers with what the test put in. */
export class TestHost implements StoreHost {
  committed: BatchId = 0;
  failed: Error | undefined;
  fullReasons: (string | undefined)[] = [];
  onSnapshot: (sink: SnapshotSink) => void = () => {};
  readonly #waiting: { batch: BatchId; resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    store.attach(this);
  }

  onCommitted(batch: BatchId): void {
    this.committed = batch;
    while (this.#waiting[0] !== undefined && this.#waiting[0].batch <= batch)
      this.#waiting.shift()!.resolve();
  }

  snapshot(sink: SnapshotSink): void {
    this.onSnapshot(sink);
  }

  onFailed(error: Error): void {
    this.failed = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  onFullChanged(reason: string | undefined): void {
    this.fullReasons.push(reason);
  }

  onRoom(): void {}

  /** Commits what is gathered and waits until it is durable. */
  async commit(): Promise<void> {
    if (this.failed !== undefined) throw this.failed;
    // So that there is something to commit.
    this.#store.removeClient('nobody');
    const batch = this.#store.gathering;
    this.#store.commit();
    await new Promise<void>((resolve, reject) => this.#waiting.push({ batch, resolve, reject }));
  }
}
