import type { StoreReader } from '../../store/tools/store-reader.js';
import type { ClientRecord } from '../../store/types/store.js';
import { must } from '../../util/assert.js';
import { toRanges } from '../../util/ranges.js';
import type { SourceChannel, SourceClient, SourceSubscription } from '../types/source.js';
import { isGroup, storedSubscriptions } from './positions.js';
import type { Differs } from './verify-import.js';

/** Compares clients and subscriptions of a source with those of a store. @returns how many the source has; queue groups by themselves do not count */
export function comparePositions(
  { clients, subscriptions, channels }: StoreReader,
  state: { clients: readonly SourceClient[]; channels: readonly SourceChannel[] },
  differs: Differs,
): { clients: number; subscriptions: number } {
  compareClients(clients, state.clients, differs);
  const names = new Map(channels.map(({ id, name }) => [id, name]));
  const stored = new Map<string, Map<string, SourceSubscription>>();
  for (const { record, pending } of subscriptions) {
    const name = must(names.get(record.channelId), 'a reader has the channels of its subscriptions');
    const ofChannel = stored.get(name) ?? new Map<string, SourceSubscription>();
    stored.set(name, ofChannel.set(keyOf(record), { ...record, pending }));
  }
  let count = 0;
  for (const channel of state.channels) {
    const ofChannel = stored.get(channel.name) ?? new Map<string, SourceSubscription>();
    stored.delete(channel.name);
    for (const wanted of storedSubscriptions(channel)) {
      if (!isGroup(wanted)) count++;
      const key = keyOf(wanted);
      const found = ofChannel.get(key);
      ofChannel.delete(key);
      const what = found === undefined ? 'it is not in the store' : whatDiffers(wanted, found);
      if (what !== '') differs('subscription', channel.name, undefined, `${nameOf(wanted)}: ${what}`);
    }
    for (const other of ofChannel.values())
      differs(
        'subscription',
        channel.name,
        undefined,
        `${nameOf(other)}: it is in the store, and not in the source`,
      );
  }
  return { clients: state.clients.length, subscriptions: count };
}

function compareClients(
  stored: readonly ClientRecord[],
  wanted: readonly SourceClient[],
  differs: Differs,
): void {
  const left = new Map(stored.map((client) => [client.clientId, client]));
  for (const client of wanted) {
    const { clientId } = client;
    const found = left.get(clientId);
    left.delete(clientId);
    if (found === undefined) {
      differs('client', undefined, undefined, `client ${clientId}: it is not in the store`);
      continue;
    }
    const what = fieldsThatDiffer(client, found, [
      'heartbeatInbox',
      'protocol',
      'pingIntervalSeconds',
      'pingMaxOut',
    ]);
    if (Buffer.compare(client.connId, found.connId) !== 0) what.push('connId');
    if (what.length > 0) differs('client', undefined, undefined, `client ${clientId}: ${what.join(', ')}`);
  }
  for (const clientId of left.keys())
    differs('client', undefined, undefined, `client ${clientId}: it is in the store, and not in the source`);
}

/** The key that each subscription of a channel has for itself. */
function keyOf({
  clientId,
  queueGroup,
  isDurable,
  durableName,
  inbox,
}: Omit<SourceSubscription, 'pending'>): string {
  // There is one durable of a name, whatever its inbox is.
  return JSON.stringify([clientId, queueGroup, isDurable, durableName, durableName === '' ? inbox : '']);
}

function nameOf(subscription: SourceSubscription): string {
  const { clientId, queueGroup, durableName, inbox } = subscription;
  if (isGroup(subscription)) return `queue group ${queueGroup}`;
  const of = `of client ${clientId}`;
  if (queueGroup !== '') return `member of queue group ${queueGroup} ${of} (inbox ${inbox})`;
  return durableName === '' ? `subscription ${of} (inbox ${inbox})` : `durable ${durableName} ${of}`;
}

function whatDiffers(wanted: SourceSubscription, found: SourceSubscription): string {
  const what = fieldsThatDiffer(wanted, found, [
    'inbox',
    'ackInbox',
    'isOnline',
    'maxInFlight',
    'ackWaitSeconds',
    'lastSent',
  ]);
  const missing = without(wanted.pending, found.pending);
  const added = without(found.pending, wanted.pending);
  if (missing.length > 0)
    what.push(`${rangesText(missing)} not acknowledged in the source, and done in the store`);
  if (added.length > 0)
    what.push(`${rangesText(added)} not acknowledged in the store, and done in the source`);
  return what.join(', ');
}

function fieldsThatDiffer<T, K extends keyof T & string>(
  wanted: Pick<T, K>,
  found: Pick<T, K>,
  fields: K[],
): string[] {
  return fields
    .filter((field) => wanted[field] !== found[field])
    .map(
      (field) => `${field} (${String(wanted[field])} in the source, ${String(found[field])} in the store)`,
    );
}

function without(sequences: readonly number[], others: readonly number[]): number[] {
  const known = new Set(others);
  return sequences.filter((sequence) => !known.has(sequence)).sort((a, b) => a - b);
}

const MAX_RANGES = 5;

function rangesText(sequences: readonly number[]): string {
  const ranges = toRanges(sequences);
  const texts: string[] = [];
  for (let i = 0; i < ranges.length && texts.length < MAX_RANGES; i += 2)
    texts.push(ranges[i] === ranges[i + 1] ? `${ranges[i]}` : `${ranges[i]} to ${ranges[i + 1]}`);
  const more = ranges.length / 2 > MAX_RANGES ? ', ...' : '';
  return `${sequences.length === 1 ? 'message' : 'messages'} ${texts.join(', ')}${more}`;
}
