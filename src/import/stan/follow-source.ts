import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { must } from '../../util/assert.js';
import type { ImportSource, MessageSink, SourceProblem, SourceState } from '../types/source.js';
import { ChannelCopy, isPassing } from './channel-copy.js';
import { MessageSpool } from './message-spool.js';
import { OldServer, type StanChannel } from './old-server.js';
import type { StanSourceOptions } from './stan-source.js';

export interface FollowOptions extends StanSourceOptions {
  /** The folder of the new store. Messages wait in a folder beside it, since the store is written channel by channel. */
  dir: string;
  /** Ends the following: what the server has by then is the import. */
  until: AbortSignal;
  onProgress(done: number, due: number): void;
}

/** Time between two looks for new channels. */
const LOOK_MS = 1_000;
/** Channels that catch up at once; each that has goes on with what is new. */
const MAX_CATCHING_UP = 4;
/** How long the server may be silent when the following ends. */
const LAST_RETRIES_MS = 30_000;

/** A running STAN server that is followed: everything that it has, and what is published until the following ends. */
export class FollowSource implements ImportSource {
  readonly name: string;
  readonly #options: FollowOptions;
  readonly #server: OldServer;
  readonly #followers = new Map<string, Follower>();
  #folder: string | undefined;

  constructor(options: FollowOptions) {
    this.name = options.name;
    this.#options = options;
    this.#server = new OldServer(options);
  }

  get problems(): readonly SourceProblem[] {
    return this.#server.problems;
  }

  /** Follows until `until` aborts. */
  async open(): Promise<SourceState> {
    const { dir, until, signal, onNote } = this.#options;
    await this.#server.open();
    const place = resolve(dir);
    this.#folder = await mkdtemp(join(dirname(place), '.stanchion-import-'));
    onNote(
      'following: stop the publishers, then the subscribers, and then end this with Ctrl-C. It writes the store then',
    );
    await this.#look();
    while (!until.aborted) {
      this.#throwIfFailed();
      await pause(LOOK_MS, undefined, { signal: until }).catch(() => {});
      signal.throwIfAborted();
      if (!until.aborted) await this.#retried(() => this.#look());
    }
    // The last look begins with every channel that there is.
    await this.#retried(() => this.#look());
    const ended: Promise<void>[] = [];
    for (const follower of this.#followers.values()) {
      const ending = follower.finish(await this.#retried(() => this.#server.newest(follower.name)));
      // It may fail while others are asked for.
      ending.catch(() => {});
      ended.push(ending);
    }
    await Promise.all(ended);
    signal.throwIfAborted();
    const channels: StanChannel[] = [];
    for (const follower of [...this.#followers.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const channel = follower.channel();
      await this.#retried(() => this.#server.addPositions(channel));
      channels.push(channel);
    }
    await this.#server.close();
    return { clusterId: this.#server.clusterId, subjects: undefined, clients: [], channels };
  }

  async read(channel: StanChannel, sink: MessageSink): Promise<void> {
    await must(this.#followers.get(channel.name), 'the channel was followed').read(sink);
  }

  async close(): Promise<void> {
    for (const follower of this.#followers.values()) follower.stop();
    await this.#server.close();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  /** Asks again while the server does not answer: as long as it takes while it is followed, and for a while at the end. */
  async #retried<T>(ask: () => Promise<T>): Promise<T> {
    const { until, signal, onNote } = this.#options;
    for (let endMs = 0, isFirst = true; ; isFirst = false) {
      try {
        return await ask();
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (until.aborted) {
          const nowMs = performance.now();
          endMs ||= nowMs + LAST_RETRIES_MS;
          if (nowMs > endMs) throw error;
        }
        if (isFirst) onNote(`${(error as Error).message}. It is asked again until it answers`);
        await pause(LOOK_MS, undefined, { signal });
        this.#throwIfFailed();
      }
    }
  }

  /** Begins with channels that are new, as far as others have caught up, and shows the progress. */
  async #look(): Promise<void> {
    const { onProgress, maxInFlight, signal, until } = this.#options;
    const followers = this.#followers;
    let due = 0;
    let done = 0;
    // Without the monitoring the channels are those that were named.
    const channels = await this.#server.channels();
    for (const channel of channels) {
      const { name, messages, lastSequence } = channel;
      const known = followers.get(name);
      due += messages;
      done += known?.messages ?? 0;
      if (known !== undefined) known.seen(lastSequence);
      const busy = [...followers.values()].filter((each) => !each.hasCaughtUp).length;
      if (known !== undefined || (busy >= MAX_CATCHING_UP && !until.aborted)) continue;
      const spool = new MessageSpool(
        join(must(this.#folder, 'the folder is made first'), String(followers.size)),
      );
      const follower = new Follower(this.#server, channel, spool, maxInFlight, signal);
      followers.set(name, follower);
    }
    onProgress(done, Math.max(due, done));
  }

  #throwIfFailed(): void {
    for (const { error } of this.#followers.values()) if (error !== undefined) throw error;
  }
}

/** Follows one channel. */
class Follower {
  readonly name: string;
  error: Error | undefined;
  readonly #first: number;
  readonly #copy: ChannelCopy;
  readonly #spool: MessageSpool;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;
  /** What the server had when it was looked last. */
  #seen: number;
  #end = Number.POSITIVE_INFINITY;
  #hasCaughtUp = false;

  constructor(
    server: OldServer,
    { name, firstSequence, lastSequence, ...channel }: StanChannel,
    spool: MessageSpool,
    maxInFlight: number,
    signal: AbortSignal,
  ) {
    this.name = name;
    this.#first = firstSequence;
    this.#seen = lastSequence;
    this.#spool = spool;
    this.#copy = new ChannelCopy({
      ...{ connection: server.connection, channel: name },
      maxInFlight: Math.min(maxInFlight, channel.maxInFlight),
      stop: AbortSignal.any([signal, this.#stop.signal]),
      hasMore: (after) => server.hasMore(name, after),
      onMessage: (encoded, sequence, timestampNs) => spool.add(encoded, sequence, timestampNs),
      onCaughtUp: () => {
        this.#hasCaughtUp = true;
      },
    });
    this.#run = this.#copy.run(() => this.#end);
    this.#run.catch((error: Error) => {
      this.error = error;
    });
  }

  get messages(): number {
    return this.#copy.messages;
  }

  get hasCaughtUp(): boolean {
    this.#hasCaughtUp ||= this.#copy.last >= this.#seen;
    return this.#hasCaughtUp;
  }

  seen(lastSequence: number): void {
    this.#seen = lastSequence;
  }

  /** Reads up to there, and ends. @throws the error that has ended it before */
  async finish(last: number): Promise<void> {
    this.#end = last;
    this.#seen = last;
    await this.#run;
    await this.#spool.end();
  }

  channel(): StanChannel {
    const { first, last, messages } = this.#copy;
    const lastSequence = Math.max(last, this.#seen);
    const firstSequence = messages === 0 ? lastSequence + 1 : Math.max(first, this.#first);
    return { name: this.name, firstSequence, lastSequence, messages, subscriptions: [], maxInFlight: 1 };
  }

  read(sink: MessageSink): Promise<void> {
    return this.#spool.read(sink);
  }

  stop(): void {
    this.#stop.abort();
    this.#spool.destroy();
  }
}
