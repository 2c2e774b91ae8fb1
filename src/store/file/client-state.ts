import type { ByteReader } from '../format/bytes.js';
import { type Checkpoint, expandRanges } from '../format/checkpoint-format.js';
import { RecordType, readClient, readRanges, readSubscription } from '../format/record.js';
import type { ClientRecord, SubscriptionRecord } from '../types/store.js';

export interface SubscriptionState {
  record: SubscriptionRecord;
  /** Delivered and not acknowledged. */
  pending: Set<number>;
}

/** Clients and subscriptions, as a checkpoint has them and the records behind it change them. */
export class ClientState {
  readonly clients = new Map<string, ClientRecord>();
  readonly subscriptions = new Map<number, SubscriptionState>();
  nextSession = 1;
  nextSubscriptionId = 1;

  protected loadClients(checkpoint: Checkpoint): void {
    this.nextSession = checkpoint.nextSession;
    this.nextSubscriptionId = checkpoint.nextSubscriptionId;
    for (const client of checkpoint.clients) this.clients.set(client.clientId, client);
    for (const { record, pending } of checkpoint.subscriptions) {
      this.subscriptions.set(record.id, { record, pending: new Set(pending) });
    }
  }

  /** A message was published by this session. */
  protected sawSession(session: number): void {
    if (session >= this.nextSession) this.nextSession = session + 1;
  }

  /** @returns false if a record of this type is about something else. @throws RangeError if it is not whole */
  protected applyClient(type: number, r: ByteReader): boolean {
    switch (type) {
      case RecordType.clientPut: {
        const client = readClient(r);
        this.clients.set(client.clientId, client);
        this.sawSession(client.session);
        return true;
      }
      case RecordType.clientRemoved:
        this.clients.delete(r.string());
        return true;
      case RecordType.subscriptionPut: {
        const record = readSubscription(r);
        const pending = this.subscriptions.get(record.id)?.pending ?? new Set<number>();
        this.subscriptions.set(record.id, { record, pending });
        this.nextSubscriptionId = Math.max(this.nextSubscriptionId, record.id + 1);
        return true;
      }
      case RecordType.subscriptionRemoved:
        this.subscriptions.delete(r.u32());
        return true;
      case RecordType.progress:
        this.#progress(r);
        return true;
      default:
        return false;
    }
  }

  #progress(r: ByteReader): void {
    const subscription = this.subscriptions.get(r.u32());
    if (subscription === undefined) return;
    const { record, pending } = subscription;
    for (const sequence of expandRanges(readRanges(r))) {
      pending.add(sequence);
      if (sequence > record.lastSent) record.lastSent = sequence;
    }
    for (const sequence of expandRanges(readRanges(r))) pending.delete(sequence);
  }
}
