import type { Clock } from '../clock/clock.js';
import type { StoreFs } from '../files/fs.js';
import type { RepairLease } from '../store/tools/repair-store.js';
import { checkBuildable } from '../store/tools/store-builder.js';
import type { RandomBytes } from '../store/types/store-id.js';
import { unlessAborted } from '../util/unless-aborted.js';
import { type Gap, GapList } from './target/gap-list.js';
import { type ImportReport, importInto } from './target/import-into.js';
import { highestSent, isGroup, storedSubscriptions } from './target/positions.js';
import { SoundState } from './target/sound-state.js';
import { type ImportDifference, verifyImport } from './target/verify-import.js';
import type {
  HiddenMessages,
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceClient,
  SourceProblem,
  SourceState,
} from './types/source.js';
import { SourceError } from './types/source-error.js';

export interface ImportRunOptions {
  fs: StoreFs;
  clock: Clock;
  random: RandomBytes;
  /** The folder of the new store. */
  dir: string;
  /** Undefined to take the source's. */
  clusterId: string | undefined;
  source: ImportSource;
  /** Takes the lease of the folder, as a lone broker does. @throws StoreError `held` */
  takeLease: () => Promise<RepairLease>;
  /** Gives up. What was written is removed. */
  signal: AbortSignal;
  onProgress(done: number, due: number): void;
}

/** What has come along, or would. */
export interface ImportSummary extends Omit<ImportReport, 'storeId' | 'gaps'> {
  from: string;
  dir: string;
  clusterId: string;
  /** Undefined if nothing was written. */
  storeId: string | undefined;
  /** How many of the subscriptions are those of connected clients. */
  connected: number;
  /** Durables, connected or not; each durable queue group is one. */
  durables: number;
  /** The first hundred stretches of sequences that have no message. */
  gaps: Gap[];
  /** Messages that the old server's limits hide. */
  hidden: HiddenMessages;
  /** The bounds of each channel. */
  bounds: { channel: string; first: number; last: number; messages: number }[];
  problems: readonly SourceProblem[];
}

/** Writes a new store with all that a source has. @throws SourceError, StoreError, the signal's reason */
export async function runImport(options: ImportRunOptions): Promise<ImportSummary> {
  const { fs, dir, source, signal, onProgress } = options;
  // Opening a source may take long.
  await checkBuildable(fs, dir, options.clusterId ?? '');
  const state = await unlessAborted(source.open(), signal);
  const clusterId = clusterIdOf(options, state);
  const due = dueOf(state);
  const report = await importInto({
    ...{ ...options, clusterId, state, signal },
    onProgress: ({ messages }) => onProgress(messages, due),
  });
  return summaryOf(options, state, clusterId, report);
}

/** Reads everything, and writes nothing. @throws SourceError, StoreError, the signal's reason */
export async function dryRun(options: Omit<ImportRunOptions, 'takeLease'>): Promise<ImportSummary> {
  const { fs, dir, source, signal, onProgress } = options;
  await checkBuildable(fs, dir, options.clusterId ?? '');
  const state = await unlessAborted(source.open(), signal);
  const clusterId = clusterIdOf(options, state);
  const sink = new CountingSink(signal, dueOf(state), onProgress);
  const sound = new SoundState(state);
  const gaps = new GapList();
  const channels: SourceChannel[] = [];
  const raised: ImportReport['raised'] = [];
  for (const channel of state.channels) {
    const { name, lastSequence } = channel;
    sink.begin((first, last) => gaps.add(name, first, last));
    await unlessAborted(source.read(channel, sink), signal);
    const served = sound.channel(channel);
    channels.push(served);
    const sent = highestSent(served);
    sink.end(Math.max(lastSequence, sent));
    if (sent > lastSequence) raised.push({ channel: name, from: lastSequence, to: sent });
  }
  const { messages, bytes } = sink;
  return summaryOf(options, state, clusterId, {
    ...{ messages, bytes, ...gaps.report, raised, leftOut: sound.leftOut },
    ...{ ...positionsOf(sound.clients, channels), storeId: undefined },
  });
}

export interface VerifyRunOptions extends Omit<ImportRunOptions, 'takeLease' | 'clusterId' | 'random'> {
  onDifference(difference: ImportDifference): void;
}

/** Compares a store with what it was imported from. @throws SourceError, StoreError, the signal's reason */
export async function runVerify(options: VerifyRunOptions) {
  const { source, signal, onProgress } = options;
  const state = await unlessAborted(source.open(), signal);
  const due = dueOf(state);
  const verifying = verifyImport({
    ...{ ...options, state },
    onProgress: ({ messages }) => onProgress(messages, due),
  });
  return await unlessAborted(verifying, signal);
}

function clusterIdOf(
  { clusterId, source }: Pick<ImportRunOptions, 'clusterId' | 'source'>,
  state: SourceState,
): string {
  const found = clusterId ?? state.clusterId;
  if (found === undefined) {
    throw new SourceError(
      'unsupported',
      `${source.name} does not say of which cluster id it is: give --cluster-id, as the clients have it`,
    );
  }
  return found;
}

function dueOf({ channels }: SourceState): number {
  return channels.reduce((sum, { messages }) => sum + messages, 0);
}

function positionsOf(
  clients: readonly SourceClient[],
  channels: readonly SourceChannel[],
): Pick<ImportReport, 'channels' | 'clients' | 'subscriptions' | 'pending'> {
  const all = channels.flatMap(storedSubscriptions);
  return {
    ...{ channels: channels.length, clients: clients.length },
    subscriptions: all.filter((each) => !isGroup(each)).length,
    pending: all.reduce((sum, { pending }) => sum + pending.length, 0),
  };
}

function summaryOf(
  { source, dir }: Pick<ImportRunOptions, 'source' | 'dir'>,
  state: SourceState,
  clusterId: string,
  report: Omit<ImportReport, 'storeId'> & { storeId: string | undefined },
): ImportSummary {
  const hidden: HiddenMessages = { byMaxMessages: 0, byMaxBytes: 0, byMaxAge: 0 };
  let [durables, connected] = [0, 0];
  const sound = new SoundState(state);
  for (const channel of state.channels) {
    hidden.byMaxMessages += channel.hidden?.byMaxMessages ?? 0;
    hidden.byMaxBytes += channel.hidden?.byMaxBytes ?? 0;
    hidden.byMaxAge += channel.hidden?.byMaxAge ?? 0;
    const served = sound.channel(channel);
    durables += durablesOf(served);
    connected += served.subscriptions.filter(({ isOnline }) => isOnline).length;
  }
  const bounds = state.channels.map(({ name, firstSequence, lastSequence, messages }) => ({
    ...{ channel: name, first: firstSequence, last: lastSequence, messages },
  }));
  return {
    ...{ from: source.name, dir, clusterId, ...report },
    ...{ connected, durables, hidden, bounds, problems: source.problems },
  };
}

function durablesOf({ subscriptions }: SourceChannel): number {
  const groups = new Set<string>();
  let single = 0;
  for (const { isDurable, queueGroup } of subscriptions) {
    if (!isDurable) continue;
    if (queueGroup === '') single++;
    else groups.add(queueGroup);
  }
  return single + groups.size;
}

/** Counts what it is given. */
class CountingSink implements MessageSink {
  messages = 0;
  bytes = 0;
  #since = 0;
  /** The last sequence of the channel; 0 if it has no message yet. */
  #last = 0;
  #onGap: (first: number, last: number) => void = () => {};
  readonly #signal: AbortSignal;
  readonly #due: number;
  readonly #onProgress: (done: number, due: number) => void;

  constructor(signal: AbortSignal, due: number, onProgress: (done: number, due: number) => void) {
    this.#signal = signal;
    this.#due = due;
    this.#onProgress = onProgress;
  }

  get isFull(): boolean {
    return this.#since >= MAX_UNDRAINED;
  }

  /** Messages of a channel follow. */
  begin(onGap: (first: number, last: number) => void): void {
    this.#last = 0;
    this.#onGap = onGap;
  }

  /** All messages of the channel have come. @param last the highest sequence that it ever had */
  end(last: number): void {
    if (this.#last > 0 && this.#last < last) this.#onGap(this.#last + 1, last);
  }

  message(_buffer: Buffer, start: number, end: number, sequence: number): void {
    if (this.#last > 0 && sequence > this.#last + 1) this.#onGap(this.#last + 1, sequence - 1);
    this.#last = sequence;
    this.messages++;
    this.bytes += end - start;
    this.#since += end - start;
  }

  async drain(): Promise<void> {
    this.#since = 0;
    this.#signal.throwIfAborted();
    this.#onProgress(this.messages, this.#due);
    // A source that never waits for its disk would keep a signal from being seen.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const MAX_UNDRAINED = 1024 * 1024;
