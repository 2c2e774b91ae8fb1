import { decodeMsgProto } from '../../protocol/messages.js';
import type { InspectOptions } from '../../store/tools/inspect.js';
import { type ReadChannel, StoreReader } from '../../store/tools/store-reader.js';
import type { MessageRef } from '../../store/types/store.js';
import type { ImportSource, SourceChannel, SourceState } from '../types/source.js';
import { comparePositions } from './compare-positions.js';
import { highestSent } from './positions.js';
import { SoundState } from './sound-state.js';
import { SourceFeed } from './source-feed.js';

export interface VerifyImportOptions extends InspectOptions {
  source: ImportSource;
  /** What the source's `open` has given. */
  state: SourceState;
  onDifference: (difference: ImportDifference) => void;
  /** Called after some thousand messages. */
  onProgress?: ((progress: { channel: string; channels: number; messages: number }) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Something that is not the same in the source and in the store. */
export interface ImportDifference {
  kind: 'channel' | 'message' | 'client' | 'subscription';
  /** Undefined if it is none of a channel. */
  channel: string | undefined;
  /** The first message's; undefined if it is none of messages. */
  sequence: number | undefined;
  /** A sentence for people, without full stop. */
  text: string;
}

/** What was compared. */
export interface VerifyImportReport {
  storeId: string;
  clusterId: string;
  channels: number;
  /** Messages of the source. */
  messages: number;
  clients: number;
  subscriptions: number;
  differences: number;
  /** Clients and subscriptions of the source that cannot be served, which an import leaves out: sentences for people, without full stop. They are no differences. */
  leftOut: string[];
}

const PROGRESS_MESSAGES = 8192;

/**
 * Compares a store with what it was imported from, message by message and position by position. Neither is changed. The store is read without its lease: a broker that serves from it may make differences.
 *
 * @throws SourceError, StoreError; the signal's reason
 */
export async function verifyImport(options: VerifyImportOptions): Promise<VerifyImportReport> {
  const { state } = options;
  const reader = await StoreReader.open(options);
  try {
    const verifier = new Verifier(reader, options);
    const stored = new Map(reader.channels.map((channel) => [channel.name, channel]));
    const sound = new SoundState(state);
    const channels: SourceChannel[] = [];
    for (const channel of state.channels) {
      const found = stored.get(channel.name);
      stored.delete(channel.name);
      if (found === undefined) {
        verifier.differs('channel', channel.name, undefined, 'it is in the source, and not in the store');
        continue;
      }
      await verifier.messages(channel, found);
      const served = sound.channel(channel);
      channels.push(served);
      verifier.bounds(served, found);
    }
    for (const { name } of stored.values())
      verifier.differs('channel', name, undefined, 'it is in the store, and not in the source');
    const { clients, subscriptions } = comparePositions(
      reader,
      { clients: sound.clients, channels },
      verifier.differs,
    );
    const { storeId, clusterId } = reader.identity;
    const { differences } = verifier;
    return {
      storeId,
      clusterId,
      channels: state.channels.length,
      messages: verifier.count,
      clients,
      subscriptions,
      differences,
      leftOut: sound.leftOut,
    };
  } finally {
    reader.close();
  }
}

/** Reports a difference. */
export type Differs = (
  kind: ImportDifference['kind'],
  channel: string | undefined,
  sequence: number | undefined,
  text: string,
) => void;

class Verifier {
  /** Messages of the source. */
  count = 0;
  differences = 0;
  #channels = 0;
  readonly #reader: StoreReader;
  readonly #options: VerifyImportOptions;

  constructor(reader: StoreReader, options: VerifyImportOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  readonly differs: Differs = (kind, channel, sequence, text) => {
    this.differences++;
    this.#options.onDifference({ kind, channel, sequence, text });
  };

  /** A channel of which its source has said all. */
  bounds(channel: SourceChannel, stored: ReadChannel): void {
    // No message gets a sequence that a subscription has had.
    const last = Math.max(channel.lastSequence, highestSent(channel));
    if (stored.lastSequence !== last)
      this.differs(
        'channel',
        channel.name,
        undefined,
        `its last sequence is ${stored.lastSequence} in the store, ${last} in the source`,
      );
  }

  async messages(channel: SourceChannel, stored: ReadChannel): Promise<void> {
    const { name } = channel;
    const feed = SourceFeed.of(this.#options.source, channel);
    const messages = new ChannelComparison(name, feed, this.differs);
    let seen = 0;
    try {
      await this.#reader.read(stored, (ref, sequence) => {
        if (++seen % PROGRESS_MESSAGES === 0) this.#progress(name, seen);
        return messages.stored(ref, sequence);
      });
      await messages.end();
    } catch (error) {
      feed.stop(error as Error);
      throw error;
    }
    this.count += messages.count;
    this.#channels++;
    this.#progress(name, 0);
  }

  #progress(channel: string, messages: number): void {
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    onProgress?.({ channel, channels: this.#channels, messages: this.count + messages });
  }
}

/** Compares the messages of one channel, both in the order of their sequences. Those that only one has are reported by stretches. */
class ChannelComparison {
  /** Messages of the source. */
  count = 0;
  readonly #name: string;
  readonly #feed: SourceFeed;
  readonly #differs: Differs;
  /** Messages that only one has, in a row. */
  #alone: { side: 'source' | 'store'; first: number; last: number } | undefined;

  constructor(name: string, feed: SourceFeed, differs: Differs) {
    this.#name = name;
    this.#feed = feed;
    this.#differs = differs;
  }

  /** The next message of the store. */
  stored(ref: MessageRef, sequence: number): Promise<void> | undefined {
    if (this.#feed.sequence !== sequence) return this.#storedLater({ ...ref }, sequence);
    this.#compare(ref, sequence);
    return undefined;
  }

  /** The store has no more. */
  async end(): Promise<void> {
    while (await this.#feed.more()) this.#onlyInSource();
    this.#endAlone();
  }

  async #storedLater(ref: MessageRef, sequence: number): Promise<void> {
    while ((await this.#feed.more()) && this.#feed.sequence < sequence) this.#onlyInSource();
    if (this.#feed.sequence === sequence) this.#compare(ref, sequence);
    else this.#only('store', sequence);
  }

  #onlyInSource(): void {
    this.#only('source', this.#feed.sequence);
    this.#feed.take();
    this.count++;
  }

  #compare({ buffer, start, end }: MessageRef, sequence: number): void {
    this.#endAlone();
    const feed = this.#feed;
    if (buffer.compare(feed.buffer, feed.start, feed.end, start, end) !== 0) {
      const what = whatDiffers(
        Buffer.from(feed.buffer.subarray(feed.start, feed.end)),
        Buffer.from(buffer.subarray(start, end)),
      );
      if (what !== '')
        this.#differs('message', this.#name, sequence, `message ${sequence} differs in ${what}`);
    }
    feed.take();
    this.count++;
  }

  #only(side: 'source' | 'store', sequence: number): void {
    if (this.#alone?.side === side && this.#alone.last === sequence - 1) {
      this.#alone.last = sequence;
      return;
    }
    this.#endAlone();
    this.#alone = { side, first: sequence, last: sequence };
  }

  #endAlone(): void {
    if (this.#alone === undefined) return;
    const { side, first, last } = this.#alone;
    this.#alone = undefined;
    const which = first === last ? `message ${first} is` : `messages ${first} to ${last} are`;
    const other = side === 'source' ? 'store' : 'source';
    this.#differs('message', this.#name, first, `${which} in the ${side}, and not in the ${other}`);
  }
}

/** The fields in which two encoded messages differ; '' if they say the same. */
function whatDiffers(source: Buffer, store: Buffer): string {
  const a = decodeMsgProto(source);
  const b = decodeMsgProto(store);
  const what: string[] = [];
  if (a.sequence !== b.sequence)
    what.push(`sequence (${a.sequence} in the source, ${b.sequence} in the store)`);
  if (a.subject !== b.subject) what.push('channel');
  if (a.reply !== b.reply) what.push('reply subject');
  if (Buffer.compare(a.data, b.data) !== 0)
    what.push(`payload (${a.data.length} bytes in the source, ${b.data.length} in the store)`);
  if (a.timestamp !== b.timestamp)
    what.push(`timestamp (${a.timestamp} ns in the source, ${b.timestamp} in the store)`);
  return what.join(', ');
}
