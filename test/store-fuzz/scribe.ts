import type { FileStore } from '../../src/store/file/file-store.js';
import { Progress } from '../../src/store/types/progress.js';
import type {
  BatchId,
  ChannelLog,
  ClientRecord,
  LogLimits,
  MessageRef,
  SnapshotSink,
  StoreHost,
  SubscriptionRecord,
} from '../../src/store/types/store.js';
import { must } from '../../src/util/assert.js';
import { waitFor } from '../harness/wait.js';
import { NO_LIMITS, payloadOf, pubMsg } from '../store/support.js';
import type { FoundChannel, FoundState, Ledger, LedgerChannel, LedgerState } from './ledger.js';
import { textOf } from './ledger.js';

const WAIT_MS = 10_000;
/** More than a record has besides its text. */
const MAX_HEAD_BYTES = 1_000;
/** So many messages behind one that cannot be read are taken for unreadable, at most. */
const MAX_STRIDE = 64;

interface KnownSubscription {
  record: SubscriptionRecord;
  pending: number[];
}

/** A broker's side of a store, which keeps the books: what it has committed stands in the ledger. */
export class Scribe implements StoreHost {
  readonly store: FileStore;
  readonly #ledger: Ledger;
  readonly #logs = new Map<string, ChannelLog>();
  readonly #generations = new Map<string, number>();
  readonly #clients = new Map<string, ClientRecord>();
  readonly #subscriptions = new Map<number, KnownSubscription>();
  /** What is acknowledged when this batch is. */
  #proposal: { batch: BatchId; state: LedgerState } | undefined;
  #nextSession: number;
  #nextSubscription: number;
  failed: Error | undefined;

  /** @param isHost false where a broker has the store already, and this one only publishes */
  constructor(store: FileStore, ledger: Ledger, isHost = true) {
    this.store = store;
    this.#ledger = ledger;
    const { clients, subscriptions, logs, nextSession, nextSubscriptionId } = store.recovered;
    for (const client of clients) this.#clients.set(client.clientId, client);
    for (const { record, pending } of subscriptions)
      this.#subscriptions.set(record.id, { record, pending: [...pending] });
    for (const log of logs) this.#logs.set(log.name, log);
    for (const [name, { generation }] of ledger.last.channels) this.#generations.set(name, generation);
    this.#nextSession = nextSession;
    this.#nextSubscription = nextSubscriptionId;
    if (isHost) store.attach(this);
  }

  onCommitted(batch: BatchId): void {
    this.#acknowledge(batch);
  }
  onFullChanged(): void {}
  onRoom(): void {}

  onFailed(error: Error): void {
    this.failed = error;
  }

  snapshot(sink: SnapshotSink): void {
    for (const client of this.#clients.values()) sink.client(client);
    for (const { record, pending } of this.#subscriptions.values())
      sink.subscription(
        record,
        pending.flatMap((sequence) => [sequence, sequence]),
      );
  }

  hasChannel(name: string): boolean {
    return this.#logs.has(name);
  }

  channel(name: string, limits: LogLimits = NO_LIMITS): void {
    const log = this.#logs.get(name) ?? this.store.createLog(name, limits);
    log.setLimits(limits);
    if (!this.#logs.has(name)) this.#generations.set(name, (this.#generations.get(name) ?? 0) + 1);
    this.#logs.set(name, log);
  }

  deleteChannel(name: string): void {
    const log = must(this.#logs.get(name), 'a channel that is deleted is there');
    this.store.deleteLog(log);
    this.#logs.delete(name);
    for (const [id, { record }] of this.#subscriptions) if (record.channelId === log.id) this.unsubscribe(id);
  }

  async publish(name: string, count: number): Promise<void> {
    const log = must(this.#logs.get(name), 'a channel that is published to is there');
    const generation = this.#generations.get(name) ?? 1;
    for (let i = 0; i < count; i++) {
      const sequence = log.lastSequence + 1;
      const text = textOf(name, generation, sequence);
      await this.#admitted(text.length + MAX_HEAD_BYTES);
      this.#ledger.appended(name, generation, sequence);
      log.append(pubMsg(name, text, `${name}-${generation}-${sequence}`), 1);
    }
  }

  /** A history is never refused: at most the next journal is being made. */
  async #admitted(bytes: number): Promise<void> {
    await waitFor(() => this.store.admit(bytes) === 'yes', 'there is room for a message', WAIT_MS);
  }

  client(clientId: string): void {
    const record: ClientRecord = {
      clientId,
      heartbeatInbox: `_HB.${clientId}`,
      connId: Buffer.from(`conn-${clientId}`),
      protocol: 1,
      pingIntervalSeconds: 5,
      pingMaxOut: 3,
      session: this.#nextSession++,
    };
    this.#clients.set(clientId, record);
    this.store.putClient(record);
  }

  closeClient(clientId: string): void {
    this.#clients.delete(clientId);
    this.store.removeClient(clientId);
  }

  /** A durable, online or waiting for its client. @returns its id */
  subscribe(clientId: string, channel: string, durableName: string, isOnline: boolean): number {
    const log = must(this.#logs.get(channel), 'a channel that is subscribed to is there');
    const id = this.#nextSubscription++;
    const record: SubscriptionRecord = {
      id,
      channelId: log.id,
      clientId,
      inbox: `_SUB.${id}`,
      ackInbox: `_ACK.${id}`,
      queueGroup: '',
      durableName,
      isDurable: true,
      isOnline,
      maxInFlight: 100,
      ackWaitSeconds: 3600,
      lastSent: 0,
    };
    this.#subscriptions.set(id, { record, pending: [] });
    this.store.putSubscription(record);
    return id;
  }

  unsubscribe(id: number): void {
    this.#subscriptions.delete(id);
    this.store.removeSubscription(id);
  }

  /** These were delivered, and the first of them acknowledged. */
  progress(id: number, first: number, last: number, ackedThrough: number): void {
    const subscription = must(this.#subscriptions.get(id), 'a subscription that makes progress is there');
    const progress = new Progress(id, false);
    progress.delivered.push(first, last);
    if (ackedThrough >= first) progress.acked.push(first, ackedThrough);
    const pending = new Set(subscription.pending);
    for (let sequence = first; sequence <= last; sequence++) pending.add(sequence);
    for (let sequence = first; sequence <= ackedThrough; sequence++) pending.delete(sequence);
    subscription.pending = [...pending].sort((a, b) => a - b);
    subscription.record = { ...subscription.record, lastSent: Math.max(subscription.record.lastSent, last) };
    this.store.recordProgress(progress);
  }

  /** Commits what is gathered, and enters it in the ledger once it is durable. */
  async commit(): Promise<void> {
    const state: LedgerState = {
      channels: new Map([...this.#logs].map(([name, log]) => [name, this.#entry(name, log)])),
      clients: new Set(this.#clients.keys()),
      pending: new Map(
        [...this.#subscriptions.values()].map(({ record, pending }) => [nameOf(record), pending]),
      ),
    };
    this.#ledger.proposed(state);
    const onBegun = (batch: BatchId): void => {
      this.#proposal = { batch, state };
    };
    await committed(this.store, () => this.failed, onBegun);
    this.#acknowledge(this.store.committed);
  }

  #acknowledge(batch: BatchId): void {
    if (this.#proposal === undefined || batch < this.#proposal.batch) return;
    this.#ledger.acknowledged(this.#proposal.state);
    this.#proposal = undefined;
  }

  #entry(name: string, { firstSequence, lastSequence }: ChannelLog): LedgerChannel {
    return { generation: this.#generations.get(name) ?? 1, first: firstSequence, last: lastSequence };
  }

  async checkpoint(): Promise<void> {
    await this.isIdle();
    this.store.upkeep.checkpoint();
    await this.isIdle();
  }

  /** Waits until neither a checkpoint nor a merge is being made. */
  async isIdle(): Promise<void> {
    await waitFor(
      () => {
        if (this.failed !== undefined) throw this.failed;
        return this.store.upkeep.isIdle;
      },
      'no checkpoint and no merge is being made',
      WAIT_MS,
    );
  }
}

/**
 * Commits what is gathered, and something if nothing is, and waits until it is durable and fenced.
 *
 * @param onBegun gets its number before it is written
 */
export async function committed(
  store: FileStore,
  failed: () => Error | undefined,
  onBegun: (batch: BatchId) => void = () => {},
): Promise<void> {
  store.removeClient('nobody');
  const batch = store.gathering;
  onBegun(batch);
  store.commit();
  await waitFor(
    () => {
      const error = failed();
      if (error !== undefined) throw error;
      return store.committed >= batch;
    },
    'a batch is committed',
    WAIT_MS,
  );
}

function nameOf({ id, durableName }: SubscriptionRecord): string {
  return `${durableName}#${id}`;
}

/** A message, tried in any case. @returns undefined if its channel is not there */
export async function foundOne(
  store: FileStore,
  channel: string,
  sequence: number,
): Promise<string | Error | undefined> {
  const log = store.recovered.logs.find(({ name }) => name === channel);
  return log && (await textAt(log, sequence));
}

/** All that a broker finds in a store that it has opened. */
export async function found(store: FileStore): Promise<FoundState> {
  const { clients, subscriptions, logs } = store.recovered;
  const channels = new Map<string, FoundChannel>();
  for (const log of logs) {
    const { firstSequence: first, lastSequence: last } = log;
    const texts: (string | Error)[] = [];
    // Where nothing can be read, each try takes long: then not all are tried.
    let failures = 0;
    for (let sequence = first; sequence <= last; sequence++) {
      const text = await textAt(log, sequence);
      failures = text instanceof Error ? failures + 1 : 0;
      const stride = Math.min(MAX_STRIDE, 2 ** Math.max(0, failures - 1));
      for (let i = 0; i < stride && sequence + i <= last; i++) texts.push(text);
      sequence += stride - 1;
    }
    channels.set(log.name, { first, last, texts });
  }
  return {
    channels,
    clients: new Set(clients.map(({ clientId }) => clientId)),
    pending: new Map(subscriptions.map(({ record, pending }) => [nameOf(record), [...pending]])),
  };
}

class Missing extends Error {}

async function textAt(log: ChannelLog, sequence: number): Promise<string | Error> {
  const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  try {
    if (!log.find(sequence, ref)) {
      await log.load(sequence);
      if (!log.find(sequence, ref)) return new Missing(`message ${sequence} is neither there nor damaged`);
    }
    return payloadOf(ref);
  } catch (error) {
    return error as Error;
  }
}
