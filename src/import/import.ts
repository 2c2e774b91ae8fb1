import type { Clock } from '../clock/clock.js';
import type { StoreFs } from '../files/fs.js';
import type { RepairLease } from '../store/tools/repair-store.js';
import { checkBuildable } from '../store/tools/store-builder.js';
import type { RandomBytes } from '../store/types/store-id.js';
import { unlessAborted } from '../util/unless-aborted.js';
import { type Gap, type ImportReport, importInto } from './target/import-into.js';
import { isGroup } from './target/positions.js';
import { type ImportDifference, verifyImport } from './target/verify-import.js';
import type {
  HiddenMessages,
  ImportSource,
  MessageSink,
  SourceChannel,
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
  /** Of the subscriptions, those of connected clients. */
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
  for (const channel of state.channels) {
    await source.read(channel, sink);
  }
  const { messages, bytes } = sink;
  const empty = { messages, bytes, missing: 0, gapCount: 0, gaps: [], raised: [], leftOut: [] };
  return summaryOf(options, state, clusterId, { ...empty, ...positionsOf(state), storeId: undefined });
}

export interface VerifyRunOptions extends Omit<ImportRunOptions, 'takeLease' | 'clusterId' | 'random'> {
  onDifference(difference: ImportDifference): void;
}

/** Compares a store with what it was imported from. @throws SourceError, StoreError, the signal's reason */
export async function runVerify(options: VerifyRunOptions) {
  const { source, signal, onProgress } = options;
  const state = await unlessAborted(source.open(), signal);
  const due = dueOf(state);
  return await verifyImport({
    ...{ ...options, state },
    onProgress: ({ messages }) => onProgress(messages, due),
  });
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

function positionsOf({
  clients,
  channels,
}: SourceState): Pick<ImportReport, 'channels' | 'clients' | 'subscriptions' | 'pending'> {
  const all = channels.flatMap(({ subscriptions }) => subscriptions);
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
  for (const channel of state.channels) {
    hidden.byMaxMessages += channel.hidden?.byMaxMessages ?? 0;
    hidden.byMaxBytes += channel.hidden?.byMaxBytes ?? 0;
    hidden.byMaxAge += channel.hidden?.byMaxAge ?? 0;
    durables += durablesOf(channel);
    connected += channel.subscriptions.filter(({ isOnline }) => isOnline).length;
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

  message(_buffer: Buffer, start: number, end: number): void {
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
