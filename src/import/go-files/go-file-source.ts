import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Clock, systemClock } from '../../clock/clock.js';
import { isChannelNameStringValid } from '../../protocol/stan-subjects.js';
import type { LogLimits } from '../../store/types/store.js';
import { MessageOpener } from '../go-state/message-opener.js';
import { ProblemList } from '../go-state/problem-list.js';
import { subjectsOf } from '../go-state/server-subjects.js';
import { recoveredSubscriptions } from '../go-state/subscription-fate.js';
import type { GoClient } from '../go-wire/go-records.js';
import type {
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceProblem,
  SourceState,
  SourceSubscription,
} from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { type ChannelMessages, findMessages, sliceNumbers } from './channel-messages.js';
import { ChannelReader } from './channel-reader.js';
import { ChunkPool } from './chunk-pool.js';
import { readClients } from './clients-file.js';
import { proveKey } from './key-proof.js';
import { crcOf, IEEE_POLYNOMIAL } from './polynomial-crc.js';
import { serverSeen } from './running-server.js';
import { readServerInfo } from './server-file.js';
import type { ReadSettings } from './slice.js';
import { readSubscriptions } from './subscriptions-file.js';

const SERVER_FILE = 'server.dat';
const CLIENTS_FILE = 'clients.dat';
const SUBSCRIPTIONS_FILE = 'subs.dat';
const LOST_AND_FOUND = 'lost+found';

export interface GoFileSourceOptions {
  /** The `dir` of the old server: it has `server.dat`, and a folder for each channel. */
  readonly dir: string;
  /** The old server's limits. What they hide is still in its files, and does not come along. */
  readonly limits: (channel: string) => LogLimits;
  /** The old server's `encryption_key`. */
  readonly key?: Buffer | undefined;
  /** Whether what is damaged is left out and noted. Else it ends the import. */
  readonly isLenient: boolean;
  /** The old server's `file_crc`: if false, CRCs are in the files and were never checked. */
  readonly isCrcChecked: boolean;
  /** The old server's `file_crc_poly`. */
  readonly crcPolynomial?: number | undefined;
  /** Looks for a server that still uses the files: in /proc, unless something else is given. */
  readonly serverSeen?: ((dir: string) => Promise<string | undefined>) | undefined;
  /** For the age of messages. */
  readonly clock?: Pick<Clock, 'wallNs'> | undefined;
}

/** The files of a stopped Go NATS Streaming server. They are only read. */
export class GoFileSource implements ImportSource {
  readonly name: string;
  readonly #options: GoFileSourceOptions;
  readonly #settings: ReadSettings;
  readonly #messages = new Map<string, ChannelMessages>();

  constructor(options: GoFileSourceOptions) {
    this.name = resolve(options.dir);
    this.#options = options;
    this.#settings = {
      pool: new ChunkPool(),
      crc: options.isCrcChecked ? crcOf(options.crcPolynomial ?? IEEE_POLYNOMIAL) : undefined,
      problems: new ProblemList(options.isLenient),
    };
  }

  get problems(): readonly SourceProblem[] {
    return this.#settings.problems.all;
  }

  async open(): Promise<SourceState> {
    const dir = this.name;
    const folders = await this.#channelFolders();
    const seen = await (this.#options.serverSeen ?? serverSeen)(dir);
    if (seen !== undefined)
      throw new SourceError('in-use', `a server uses ${dir}: ${seen}. Stop it before the import`);
    const info = await readServerInfo(join(dir, SERVER_FILE), this.#settings);
    const clients = await readClients(join(dir, CLIENTS_FILE), this.#settings);
    if (info !== undefined && info.nodeId !== '')
      this.#settings.problems.lost(
        { where: join(dir, SERVER_FILE) },
        `this is node ${info.nodeId} of a cluster: its messages come along. Clients, durables and their positions are not in these files but in the Raft log, and do not come along. Take the folder of the node that was the leader: its messages reach furthest`,
      );
    const channels: SourceChannel[] = [];
    for (const folder of folders) channels.push(await this.#openChannel(folder, clients));
    return {
      clusterId: info?.clusterId || undefined,
      subjects: info === undefined ? undefined : subjectsOf(info),
      clients: [...clients.values()],
      channels,
    };
  }

  async read(channel: SourceChannel, sink: MessageSink): Promise<void> {
    const messages = this.#messages.get(channel.name);
    if (messages === undefined)
      throw new SourceError('not-found', `${this.name} has no channel ${channel.name}`);
    const opener = new MessageOpener(channel.name, this.#options.key, this.#settings.problems);
    await new ChannelReader(messages, sink, this.#settings, opener).read();
  }

  async close(): Promise<void> {}

  /** The names of the channels' folders, in the order of their names. */
  async #channelFolders(): Promise<string[]> {
    const dir = this.name;
    const entries = await readdir(dir, { withFileTypes: true }).catch((error: Error) => {
      throw new SourceError('not-found', `${dir} cannot be read: ${error.message}`, { cause: error });
    });
    const folders: string[] = [];
    // A link to a folder is no channel for the Go server either.
    for (const entry of entries)
      if (entry.isDirectory() && (await this.#isChannel(entry.name))) folders.push(entry.name);
    const isStore = folders.length > 0 || entries.some(({ name }) => name === SERVER_FILE);
    if (!isStore)
      throw new SourceError(
        'not-found',
        `${dir} is not the store of a Go NATS Streaming server: it has neither ${SERVER_FILE} nor a folder with messages. Name the folder that is its "dir"`,
      );
    return folders.sort((a, b) => (a < b ? -1 : 1));
  }

  async #isChannel(name: string): Promise<boolean> {
    const folder = join(this.name, name);
    const { problems } = this.#settings;
    let files: string[];
    try {
      files = await readdir(folder);
    } catch (error) {
      // A volume's own folder can be read by root alone.
      if (name === LOST_AND_FOUND) return false;
      problems.damaged({ where: folder }, `it cannot be read: ${(error as Error).message}`);
      return false;
    }
    if (!files.includes(SUBSCRIPTIONS_FILE) && sliceNumbers(files).length === 0) {
      problems.note(
        { where: folder },
        'the folder is not a channel: it has no messages and no subscriptions',
      );
      return false;
    }
    if (isChannelNameStringValid(name)) return true;
    problems.damaged({ where: folder }, 'the folder has the name of no channel');
    return false;
  }

  async #openChannel(name: string, clients: ReadonlyMap<string, GoClient>): Promise<SourceChannel> {
    const folder = join(this.name, name);
    const settings = this.#settings;
    const nowMs = Number((this.#options.clock ?? systemClock).wallNs() / 1_000_000n);
    const messages = await findMessages(folder, this.#options.limits(name), nowMs, settings);
    await proveKey(messages, name, this.#options.key, settings);
    this.#messages.set(name, messages);
    const path = join(folder, SUBSCRIPTIONS_FILE);
    const stored = await readSubscriptions(path, settings);
    const subscriptions = recoveredSubscriptions(
      stored,
      (id) => clients.has(id),
      { where: path },
      settings.problems,
    );
    const { firstSequence, count, hidden } = messages;
    const lastSequence = this.#lastSequence(name, messages.lastSequence, subscriptions);
    return {
      name,
      firstSequence: count === 0 ? lastSequence + 1 : firstSequence,
      lastSequence,
      messages: count,
      hidden,
      subscriptions,
    };
  }

  /** What has been delivered was there, even if it is in no file any more: its sequence is not given to another message. */
  #lastSequence(name: string, last: number, subscriptions: readonly SourceSubscription[]): number {
    let highest = last;
    for (const { lastSent } of subscriptions) highest = Math.max(highest, lastSent);
    if (highest > last)
      this.#settings.problems.lost(
        { where: join(this.name, name) },
        `messages up to ${highest} have been delivered, and the files have them up to ${last}: new ones begin at ${highest + 1}`,
      );
    return highest;
  }
}
