// Compares what is read from a Go server's files with what the server itself and its clients said.

import assert from 'node:assert/strict';
import { GoFileSource, type GoFileSourceOptions } from '../../../src/import/go-files/go-file-source.js';
import type {
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceState,
  SourceSubscription,
} from '../../../src/import/types/source.js';
import { decodeMsgProto } from '../../../src/protocol/messages.js';
import {
  CLUSTER_ID,
  type Kind,
  type KnownMessage,
  type KnownStore,
  LIMITS,
  NO_LIMITS,
  sha1,
} from '../../data/go-stores/scenario.js';
import type { GoServerWords, SaidSubscription } from '../../harness/go-server.js';

/** The polynomial that the server of `stopped` had. */
export const OTHER_POLYNOMIAL = 2_197_175_160;

/** A source for a kept store, with what its server had: limits, key, polynomial. */
export function sourceOf(
  dir: string,
  kind: Kind,
  { atMs }: Pick<KnownStore, 'atMs'>,
  other: Partial<GoFileSourceOptions> = {},
): GoFileSource {
  return new GoFileSource({
    dir,
    limits: (channel) => (kind.isOld ? NO_LIMITS : (LIMITS[channel] ?? NO_LIMITS)),
    key: kind.key === undefined ? undefined : Buffer.from(kind.key),
    isLenient: false,
    isCrcChecked: true,
    crcPolynomial: kind.args.includes(String(OTHER_POLYNOMIAL)) ? OTHER_POLYNOMIAL : undefined,
    clock: { wallNs: () => BigInt(atMs) * 1_000_000n },
    ...other,
  });
}

/** Takes all messages, and is full again and again. */
export class CollectingSink implements MessageSink {
  readonly messages: KnownMessage[] = [];
  #taken: [Buffer, number, number, number, number][] = [];

  get isFull(): boolean {
    return this.#taken.length >= 7;
  }

  message(buffer: Buffer, start: number, end: number, sequence: number, timestampMs: number): void {
    assert.ok(!this.isFull);
    this.#taken.push([buffer, start, end, sequence, timestampMs]);
  }

  /** Looks at the memory as late as it may. */
  drain(): Promise<void> {
    for (const [buffer, start, end, sequence, timestampMs] of this.#taken) {
      const message = decodeMsgProto(buffer.subarray(start, end));
      assert.equal(message.sequence, sequence);
      assert.equal(Number(message.timestamp / 1_000_000n), timestampMs);
      assert.ok(!message.redelivered);
      // As the client shows it: bytes that are not UTF-8 are replaced.
      const data = Buffer.from(message.data).toString();
      this.messages.push({ sequence, timestampMs, sha1: sha1(data) });
    }
    this.#taken = [];
    return Promise.resolve();
  }
}

export async function messagesOf(source: ImportSource, channel: SourceChannel): Promise<KnownMessage[]> {
  const sink = new CollectingSink();
  await source.read(channel, sink);
  await sink.drain();
  return sink.messages;
}

/** Fails where the state differs from what the running server said. */
export function compareState(state: SourceState, known: KnownStore): void {
  const { words } = known;
  assert.equal(state.clusterId, CLUSTER_ID);
  assert.deepEqual(
    state.clients.map(({ clientId, heartbeatInbox }) => [clientId, heartbeatInbox]).sort(),
    words.clients.map(({ id, hb_inbox }) => [id, hb_inbox]).sort(),
  );
  assert.deepEqual(boundsOf(state), boundsSaid(words));
  for (const { name, subscriptions } of state.channels) {
    const said = words.channels.find((channel) => channel.name === name)?.subscriptions ?? [];
    assert.deepEqual(subscriptions.map(subscriptionWords).sort(), said.map(saidSubscription).sort(), name);
  }
  for (const [key, sequences] of Object.entries(known.pending))
    assert.deepEqual(pendingOf(state, key), sequences, `what is pending of ${key}`);
}

/** The messages of each channel, in numbers. */
export function boundsOf({ channels }: SourceState) {
  return channels.map(({ name, messages, firstSequence, lastSequence }) => ({
    ...{ name, messages, firstSequence, lastSequence },
  }));
}

export function boundsSaid({ channels }: GoServerWords) {
  return channels
    .map(({ name, msgs, first_seq, last_seq }) => ({
      ...{ name, messages: msgs, lastSequence: last_seq },
      // The server shows the last sequence, or 0, as the first one where there is no message.
      firstSequence: msgs === 0 ? last_seq + 1 : first_seq,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function subscriptionWords(subscription: SourceSubscription): string {
  const { clientId, inbox, ackInbox, queueGroup, durableName, isDurable, isOnline } = subscription;
  const { maxInFlight, ackWaitSeconds, lastSent, pending } = subscription;
  return JSON.stringify({
    ...{ clientId, inbox, ackInbox, queueGroup, durableName, isDurable, isOnline },
    ...{ maxInFlight, ackWaitSeconds, lastSent, pending: pending.length },
  });
}

function saidSubscription(said: SaidSubscription): string {
  // For a queue group that is offline, the server shows the client that was the last one.
  const queueGroup = said.queue_name ?? '';
  return JSON.stringify({
    clientId: said.is_offline && queueGroup !== '' ? '' : said.client_id,
    inbox: said.inbox,
    ackInbox: said.ack_inbox,
    queueGroup,
    durableName: said.durable_name ?? '',
    isDurable: said.is_durable,
    isOnline: !said.is_offline,
    maxInFlight: said.max_inflight,
    ackWaitSeconds: said.ack_wait,
    lastSent: said.last_sent,
    pending: said.pending_count,
  });
}

/** @param key `channel durable`, or `channel durable:group` */
function pendingOf({ channels }: SourceState, key: string): number[] {
  const [channel, name = ''] = key.split(' ');
  return channels
    .filter((one) => one.name === channel)
    .flatMap(({ subscriptions }) => subscriptions)
    .filter(({ durableName, queueGroup }) => (name.includes(':') ? queueGroup : durableName) === name)
    .flatMap(({ pending }) => pending)
    .sort((a, b) => a - b);
}
