import { isGone, StoreError } from '../../files/store-error.js';
import type { StoreIdentity } from '../file/identity.js';
import type { FileLog } from '../log/file-log.js';
import type { ClientRecord, MessageRef, RecoveredSubscription, SubscriptionRecord } from '../types/store.js';
import {
  type InspectOptions,
  type OpenedReadOnly,
  openReadOnly,
  problemOfIdentity,
  requireIdentity,
} from './inspect.js';

/** A channel as it was when the store was opened for reading. */
export interface ReadChannel {
  readonly id: number;
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
}

export interface ReadResult {
  messages: number;
  /** Messages that a limit of the running broker dropped before they were read. */
  dropped: number;
}

/** A running broker may take the files of a state away as often as this while one message is looked for. */
const ATTEMPTS = 5;

/**
 * The whole content of a store at one moment, read without the lease, also beside a running broker. What a broker appends later is not
 * read. A message has one content for ever, so where merges have moved it since does not matter: the reader looks again.
 */
export class StoreReader {
  readonly identity: StoreIdentity;
  /** In the order of their names. */
  readonly channels: readonly ReadChannel[];
  /** In the order of their names. */
  readonly clients: readonly ClientRecord[];
  /** In the order of their channels and of what they are called: not of their ids, which another store with the same content has not. */
  readonly subscriptions: readonly RecoveredSubscription[];
  readonly warnings: readonly string[];
  readonly #options: InspectOptions;
  #opened: OpenedReadOnly;

  private constructor(
    options: InspectOptions,
    identity: StoreIdentity,
    opened: OpenedReadOnly,
    warnings: readonly string[],
  ) {
    this.#options = options;
    this.#opened = opened;
    this.identity = identity;
    this.warnings = warnings;
    const { state } = opened.recovery;
    this.channels = [...state.logs.values()].map(copyOf).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.clients = [...state.clients.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
    this.subscriptions = [...state.subscriptions.values()]
      .map(({ record, pending }) => ({ record: { ...record }, pending: [...pending].sort((a, b) => a - b) }))
      .filter(({ record }) => state.logs.has(record.channelId))
      .sort((a, b) => compareTexts(namesOf(a.record, state.logs), namesOf(b.record, state.logs)));
    liftGroups(this.subscriptions);
  }

  /** @throws StoreError if there is no store, or it is of a newer version, or damaged */
  static async open(options: InspectOptions): Promise<StoreReader> {
    const identity = await requireIdentity(options);
    const problem = await problemOfIdentity(options, identity);
    if (problem !== undefined) throw problem;
    const warnings: string[] = [];
    const opened = await openReadOnly(options, identity, warnings);
    return new StoreReader(options, identity, opened, warnings);
  }

  /**
   * Reads the messages of a channel in order.
   *
   * @param visit gets the encoded MsgProto, which is valid until it returns, or its promise ends
   * @throws StoreError naming file and offset of a message that cannot be read
   */
  async read(
    channel: ReadChannel,
    visit: (ref: MessageRef, sequence: number) => Promise<void> | undefined,
  ): Promise<ReadResult> {
    const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
    let messages = 0;
    let log = this.#logOf(channel);
    let failures = 0;
    for (let sequence = channel.firstSequence; log !== undefined && sequence <= channel.lastSequence; ) {
      if (sequence < log.firstSequence) {
        sequence = log.firstSequence;
        continue;
      }
      const next = log.skipLost(sequence);
      if (next !== sequence) {
        sequence = next;
        continue;
      }
      if (log.find(sequence, ref)) {
        failures = 0;
        messages++;
        sequence++;
        const done = visit(ref, sequence - 1);
        if (done !== undefined) await done;
        continue;
      }
      try {
        await log.load(sequence);
        if (!log.find(sequence, ref)) throw missing(channel, sequence);
      } catch (error) {
        const isDamage = error instanceof StoreError && error.code === 'damaged';
        if ((!isGone(error) && !isDamage) || ++failures >= ATTEMPTS) throw error;
        await this.#lookAgain();
        log = this.#logOf(channel);
      }
    }
    return { messages, dropped: channel.messages - messages };
  }

  close(): void {
    this.#opened.close();
  }

  /** Undefined if the channel has been deleted since. */
  #logOf({ id }: ReadChannel): FileLog | undefined {
    return this.#opened.recovery.state.logs.get(id);
  }

  async #lookAgain(): Promise<void> {
    const { storeId } = await requireIdentity(this.#options);
    if (storeId !== this.identity.storeId) {
      throw new StoreError(
        'foreign',
        `${this.#options.dir} has another store by now: ${storeId} in place of ${this.identity.storeId}. Begin again`,
      );
    }
    const opened = await openReadOnly(this.#options, this.identity, []);
    this.#opened.close();
    this.#opened = opened;
  }
}

/** A queue group has been given all that its members have: its own record may be older. */
function liftGroups(subscriptions: readonly RecoveredSubscription[]): void {
  const groups = new Map<string, SubscriptionRecord>();
  const keyOf = ({ channelId, queueGroup, isDurable }: SubscriptionRecord): string =>
    `${channelId} ${isDurable} ${queueGroup}`;
  for (const { record } of subscriptions)
    if (record.queueGroup !== '' && record.clientId === '') groups.set(keyOf(record), record);
  for (const { record } of subscriptions) {
    const group = groups.get(keyOf(record));
    if (group !== undefined) group.lastSent = Math.max(group.lastSent, record.lastSent);
  }
}

function namesOf(
  { channelId, queueGroup, clientId, durableName, ackInbox }: SubscriptionRecord,
  logs: ReadonlyMap<number, FileLog>,
): string[] {
  return [logs.get(channelId)?.name ?? '', queueGroup, clientId, durableName, ackInbox];
}

function compareTexts(a: readonly string[], b: readonly string[]): number {
  const index = a.findIndex((text, i) => text !== b[i]);
  if (index < 0) return 0;
  return (a[index] ?? '') < (b[index] ?? '') ? -1 : 1;
}

function copyOf({ id, name, firstSequence, lastSequence, messageCount: messages }: FileLog): ReadChannel {
  return { id, name, firstSequence, lastSequence, messages };
}

function missing({ name }: ReadChannel, sequence: number): StoreError {
  return new StoreError('damaged', `No file holds message ${sequence} of channel ${name}`);
}
