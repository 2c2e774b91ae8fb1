import type { StoreFs } from '../../files/fs.js';
import type { RepairLease } from '../../store/tools/repair-store.js';
import { checkBuildable, StoreBuilder } from '../../store/tools/store-builder.js';
import type { RandomBytes } from '../../store/types/store-id.js';
import { unlessAborted } from '../../util/unless-aborted.js';
import type { ImportSource, MessageSink, SourceChannel, SourceState } from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { type Gap, GapList } from './gap-list.js';
import { highestSent, isGroup, storedSubscriptions } from './positions.js';
import { SoundState } from './sound-state.js';

export interface ImportOptions {
  fs: StoreFs;
  clock: { wallNs(): bigint };
  random: RandomBytes;
  /** The folder of the new store: missing, empty, or with what an import that was interrupted has left. */
  dir: string;
  /** The new store's. */
  clusterId: string;
  source: ImportSource;
  /** What the source's `open` has given. */
  state: SourceState;
  /** Takes the lease of the folder, as a lone broker does: two imports, or an import and a broker, keep off each other. @throws StoreError `held` */
  takeLease: () => Promise<RepairLease>;
  /** Called now and then, some ten times a second at most times. */
  onProgress?: ((progress: ImportProgress) => void) | undefined;
  /** Gives up: what was written is removed. */
  signal?: AbortSignal | undefined;
  /** For tests. */
  segmentBytes?: number | undefined;
}

export interface ImportProgress {
  /** The one that is being copied. */
  channel: string;
  /** Channels that are copied. */
  channels: number;
  /** Messages that are copied, and bytes of their MsgProtos. */
  messages: number;
  bytes: number;
}

/** What has come along. */
export interface ImportReport {
  storeId: string;
  channels: number;
  messages: number;
  /** Bytes of their MsgProtos. */
  bytes: number;
  clients: number;
  /** Without records of queue groups. */
  subscriptions: number;
  /** Messages that are delivered and not acknowledged. */
  pending: number;
  /** Sequences, and how many stretches of them, that have no message, though there are messages before them; the first hundred stretches. */
  missing: number;
  gapCount: number;
  gaps: Gap[];
  /** Channels whose next sequence is higher than the source says, since a subscription has had higher ones. */
  raised: { channel: string; from: number; to: number }[];
  /** Clients and subscriptions that cannot be served: sentences for people, without full stop. */
  leftOut: string[];
}

/** Each gap takes memory, here and of the broker: some hundred bytes. A server leaves few of them. */
const MAX_GAPS = 100_000;

/**
 * Writes a new store with all that a source has: term 1 of it, which has ended. A broker that opens it finds it as after an orderly end. The store has no name for brokers before all of it is durable. An import
 * that was interrupted leaves a folder that brokers refuse; another import into it removes what is there, and begins anew.
 *
 * @throws SourceError, StoreError, the signal's reason; then nothing is left of what was written, if it can be removed
 */
export async function importInto(options: ImportOptions): Promise<ImportReport> {
  const { fs, dir, clusterId, takeLease, signal } = options;
  await checkBuildable(fs, dir, clusterId);
  signal?.throwIfAborted();
  const lease = await takeLease();
  try {
    const sound = new SoundState(options.state);
    const builder = await StoreBuilder.begin({ ...options, formerSubjects: sound.formerSubjects }, lease);
    try {
      const report = await fill(builder, sound, options);
      await builder.finish();
      return report;
    } catch (error) {
      // What cannot be removed is refused by brokers, and cleared by the next import.
      await builder.abandon().catch(() => {});
      throw error;
    }
  } finally {
    await lease.release();
  }
}

async function fill(builder: StoreBuilder, sound: SoundState, options: ImportOptions): Promise<ImportReport> {
  const { source, state, signal } = options;
  const report: ImportReport = {
    ...{
      storeId: builder.identity.storeId,
      channels: 0,
      messages: 0,
      bytes: 0,
      clients: 0,
      subscriptions: 0,
    },
    ...{ pending: 0, missing: 0, gapCount: 0, gaps: [], raised: [], leftOut: [] },
  };
  report.leftOut = sound.leftOut;
  const gaps = new GapList();
  for (const client of sound.clients) {
    builder.client(client);
    report.clients++;
  }
  for (const channel of state.channels) {
    signal?.throwIfAborted();
    await builder.startChannel();
    const sink = new Sink(builder, options, report, channel, gaps.report.gapCount);
    await readUnlessAborted(source, channel, sink, signal);
    await endChannel(builder, sound.channel(channel), report, gaps);
  }
  signal?.throwIfAborted();
  return Object.assign(report, gaps.report);
}

/** Waits for a channel, unless the import is given up: a source may wait for something that never comes, such as more of standard input. */
async function readUnlessAborted(
  source: ImportSource,
  channel: SourceChannel,
  sink: Sink,
  signal: AbortSignal | undefined,
): Promise<void> {
  const reading = source.read(channel, sink);
  if (signal === undefined) return await reading;
  try {
    await unlessAborted(reading, signal);
  } finally {
    // What is being written ends before it is removed, and nothing more is written.
    await sink.drained.catch(() => {});
  }
}

async function endChannel(
  builder: StoreBuilder,
  channel: SourceChannel,
  report: ImportReport,
  gaps: GapList,
): Promise<void> {
  const { name, lastSequence } = channel;
  const sent = highestSent(channel);
  const built = await builder.endChannel(name, Math.max(lastSequence, sent));
  if (sent > lastSequence) report.raised.push({ channel: name, from: lastSequence, to: sent });
  report.channels++;
  report.messages += built.messages;
  report.bytes += built.bytes;
  for (let i = 0; i < built.gaps.length; i += 2) {
    const [first, last] = built.gaps.slice(i, i + 2) as [number, number];
    gaps.add(name, first, last);
  }
  for (const { pending, ...record } of storedSubscriptions(channel)) {
    builder.subscription({ ...record, channelId: built.id }, pending);
    report.pending += pending.length;
    if (!isGroup({ ...record, pending })) report.subscriptions++;
  }
}

/** Hands the messages of one channel to the builder. */
class Sink implements MessageSink {
  /** The last drain. */
  drained: Promise<void> = Promise.resolve();
  readonly #builder: StoreBuilder;
  readonly #options: ImportOptions;
  readonly #before: Readonly<Pick<ImportReport, 'channels' | 'messages' | 'bytes'>>;
  readonly #channel: string;
  #messages = 0;
  #bytes = 0;
  /** Those of the channels before count, too. */
  #gaps: number;
  /** The sequence of the next message, if it leaves no gap; 0 before the first one. */
  #next = 0;

  constructor(
    builder: StoreBuilder,
    options: ImportOptions,
    report: ImportReport,
    { name }: SourceChannel,
    gaps: number,
  ) {
    this.#gaps = gaps;
    this.#builder = builder;
    this.#options = options;
    this.#before = { ...report };
    this.#channel = name;
  }

  get isFull(): boolean {
    return this.#builder.segments.isFull;
  }

  message(buffer: Buffer, start: number, end: number, sequence: number, timestampMs: number): void {
    this.#builder.segments.message(buffer, start, end, sequence, timestampMs);
    if (sequence !== this.#next && this.#next > 0) this.#gaps++;
    this.#next = sequence + 1;
    this.#messages++;
    this.#bytes += end - start;
  }

  drain(): Promise<void> {
    this.drained = this.#drain();
    return this.drained;
  }

  async #drain(): Promise<void> {
    const { source, signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    await this.#builder.segments.drain();
    signal?.throwIfAborted();
    if (this.#gaps > MAX_GAPS)
      throw new SourceError(
        'unsupported',
        `${source.name} has more than ${MAX_GAPS} gaps between sequences, up to channel ${this.#channel}. If the sequences of JSON Lines do not matter, leave them out, and each message gets the next one: jq -c 'del(.sequence)'`,
      );
    onProgress?.({
      channel: this.#channel,
      channels: this.#before.channels,
      messages: this.#before.messages + this.#messages,
      bytes: this.#before.bytes + this.#bytes,
    });
  }
}
