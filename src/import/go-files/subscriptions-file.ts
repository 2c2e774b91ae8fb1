import type { StoredSubscription } from '../go-state/subscription-fate.js';
import { GoWireError } from '../go-wire/field-reader.js';
import {
  decodeGoSubscription,
  decodeGoSubscriptionDelete,
  decodeGoSubscriptionUpdate,
} from '../go-wire/go-records.js';
import { SourceError } from '../types/source-error.js';
import type { ReadSettings } from './slice.js';
import { eachTypedRecord } from './typed-records.js';

const NEW = 1;
const UPDATE = 2;
const DELETE = 3;
const ACK = 4;
const DELIVERED = 5;
/** Limit for one channel. They are held in memory; a subscription has as many as its MaxInflight, or a few more. */
const MAX_PENDING = 2_000_000;

/** Reads `subs.dat`: the subscriptions of a channel, by their ids. */
export async function readSubscriptions(path: string, settings: ReadSettings): Promise<StoredSubscription[]> {
  const subscriptions = new Map<number, StoredSubscription>();
  const update = { id: 0, sequence: 0 };
  let pendingCount = 0;
  await eachTypedRecord(path, settings, ({ type, buffer, payloadStart, payloadEnd }) => {
    if (type === DELIVERED || type === ACK) {
      decodeGoSubscriptionUpdate(buffer, payloadStart, payloadEnd, update);
      const subscription = subscriptions.get(update.id);
      if (subscription === undefined) return;
      const { pending, state } = subscription;
      const before = pending.size;
      if (type === DELIVERED) {
        pending.add(update.sequence);
        if (update.sequence > state.lastSent) state.lastSent = update.sequence;
      } else {
        pending.delete(update.sequence);
      }
      pendingCount += pending.size - before;
      if (pendingCount > MAX_PENDING)
        throw new SourceError('unsupported', `${path} has more than ${MAX_PENDING} unacknowledged messages`);
    } else if (type === NEW || type === UPDATE) {
      const state = decodeGoSubscription(buffer, payloadStart, payloadEnd);
      const known = subscriptions.get(state.id);
      if (type === UPDATE && known !== undefined) {
        known.state = state;
      } else {
        pendingCount -= known?.pending.size ?? 0;
        subscriptions.set(state.id, { state, pending: new Set() });
      }
    } else if (type === DELETE) {
      const id = decodeGoSubscriptionDelete(buffer, payloadStart, payloadEnd);
      pendingCount -= subscriptions.get(id)?.pending.size ?? 0;
      subscriptions.delete(id);
    } else {
      throw new GoWireError(`a record of subscriptions has the unknown type ${type}`);
    }
  });
  return [...subscriptions.values()];
}
