// The state of a lease, and the name of the file that says it.

import { assert, must } from '../util/assert.js';
import { crc32Of } from '../util/crc.js';

/**
 * The state of the lease: the name of the one file in `lease/`. A process that knows the exact name can change it, once.
 */
export interface LeaseState extends LeaseLength, Served {
  epoch: number;
  /** Grows with every renewal. */
  counter: number;
  /** The holder; `RELEASED` if there is none. */
  holder: string;
  /** It is where release 0.1.0 has it, see carry-over.ts. */
  isFormer?: true;
}

/** The part of the journal that is durable for certain: any reader must find at least this much, or a checkpoint that stands for it. */
export interface Served {
  /** The newest epoch whose term has made its first record durable. 0 if none is known. */
  servedEpoch: number;
  /** The number of its newest batch that was durable when the renewal began. All that was acknowledged lies in it or before it. */
  servedBatch: number;
}

/** The holder of the lease, and for how long it may be silent. The holder decides that, and all watchers go by it. */
export interface LeaseLength {
  kind: LeaseKind;
  /** A watcher may take the lease when it has not been renewed for so long; or for longer, if it goes by a longer lease itself. 0 if unknown. */
  leaseMs: number;
  /** The group of a member, as `leaseGroup` writes it. */
  group?: string;
}

/** A member of a group, or a broker or a repair that has the store for itself; `none` before the first term, and in a lease of release 0.1.0. */
export type LeaseKind = 'group' | 'alone' | 'none';

export const NONE_SERVED: Served = { servedEpoch: 0, servedBatch: 0 };
export const NO_LENGTH: LeaseLength = { kind: 'none', leaseMs: 0 };
export const RELEASED = 'released';
/** Each name begins with the version of its format, so that a program knows what it looks at whatever else it has read before. */
export const LEASE_FORMAT_VERSION = 1;
const ANY_VERSION = /^v(\d+)\./;
const NAME =
  /^v1\.(\d{8,10})\.(\d{6,16})\.served-(\d{1,10})-(\d{1,13})\.(group|alone|none)-(\d{1,7})(?:-([A-Za-z0-9_-]{1,24}))?\.([A-Za-z0-9._@-]+)$/;
/** With everything before it, a name is not longer than a file system takes. */
const MAX_HOLDER_LENGTH = 153;
const MAX_GROUP_LENGTH = 24;
/** No lease may be longer, whatever its name says: a longer one could not be taken after its holder's death. */
const MAX_LEASE_MS = 60_000;

export function leaseFileName(state: LeaseState): string {
  const { epoch, counter, servedEpoch, servedBatch, kind, leaseMs, group, holder } = state;
  const numbers = `${String(epoch).padStart(8, '0')}.${String(counter).padStart(6, '0')}`;
  const length = `${kind}-${leaseMs}${group === undefined ? '' : `-${group}`}`;
  return `v${LEASE_FORMAT_VERSION}.${numbers}.served-${servedEpoch}-${servedBatch}.${length}.${holder}`;
}

/** @returns undefined if it is not the name of a state */
export function parseLeaseFileName(name: string): LeaseState | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, epoch, counter, servedEpoch, servedBatch, kind, leaseMs, group, holder] = match;
  // No later term has served than the newest that had the lease.
  if (Number(servedEpoch) > Number(epoch)) return undefined;
  return {
    epoch: Number(epoch),
    counter: Number(counter),
    servedEpoch: Number(servedEpoch),
    servedBatch: Number(servedBatch),
    kind: kind as LeaseKind,
    leaseMs: Number(leaseMs),
    ...(group === undefined ? {} : { group }),
    holder: must(holder, 'each group of the pattern has matched'),
  };
}

/** The first state of a folder. */
export function unheld(epoch: number): LeaseState {
  return { epoch, counter: 0, ...NONE_SERVED, ...NO_LENGTH, holder: RELEASED };
}

/** What a store has served at least whose lease is gone: its identity is made after its lease, in its first term. */
export const SERVED_UNKNOWN: Served = { servedEpoch: 1, servedBatch: 0 };

/** The first state of a folder that was there before, and is lost. `epoch` is the newest that has left files. */
export function lost(epoch: number): LeaseState {
  return { ...unheld(Math.max(epoch, SERVED_UNKNOWN.servedEpoch)), ...SERVED_UNKNOWN };
}

/** The version of the format of a file name; undefined if it is no name of a state. */
export function leaseFileVersion(name: string): number | undefined {
  const version = ANY_VERSION.exec(name)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** What may stand in a holder's name. Other characters become `-`. */
export function holderName(text: string): string {
  return text.replace(/[^A-Za-z0-9._@-]/g, '-').slice(0, MAX_HOLDER_LENGTH);
}

/** A group's name as it stands in the lease. One that does not fit there is cut, with a checksum of the whole. */
export function leaseGroup(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, MAX_GROUP_LENGTH);
  if (plain === name) return plain;
  const sum = crc32Of([Buffer.from(name)])
    .toString(16)
    .padStart(8, '0');
  return `${plain.slice(0, MAX_GROUP_LENGTH - sum.length - 1)}-${sum}`;
}

/** How long a lease may stay as it is before it is taken, by one that goes by a lease of `ownMs`: the longer of the two. */
export function watchedMs({ leaseMs }: LeaseLength, ownMs: number): number {
  return Math.max(ownMs, Math.min(leaseMs, MAX_LEASE_MS));
}

/** A term that is to begin. */
export interface NewTerm extends LeaseLength {
  epoch: number;
  holder: string;
}

/** The state in which a term begins. */
export function begun({ servedEpoch, servedBatch }: LeaseState, term: NewTerm): LeaseState {
  const { leaseMs, holder } = term;
  const sound = { leaseMs: Math.ceil(leaseMs), holder: holderName(holder) };
  return { ...term, ...sound, counter: 0, servedEpoch, servedBatch };
}

/** The state after the next renewal. @param batch the newest of this term that is durable; 0 says nothing new */
export function renewed(known: LeaseState, batch: number): LeaseState {
  const { epoch, counter, servedEpoch, servedBatch, kind, leaseMs, group, holder } = known;
  assert(servedEpoch <= epoch, 'no later term has served');
  const saysNothing = batch === 0;
  // A name never says less than the one before it.
  const least = servedEpoch === epoch ? servedBatch : 0;
  // There is one for each batch. A spread would take V8 two microseconds here.
  const next: LeaseState = {
    epoch,
    counter: counter + 1,
    servedEpoch: saysNothing ? servedEpoch : epoch,
    servedBatch: saysNothing ? servedBatch : Math.max(batch, least),
    kind,
    leaseMs,
    holder,
  };
  if (group !== undefined) next.group = group;
  if (known.isFormer) next.isFormer = true;
  return next;
}

/** Whether they are one state: whatever changes in a name, the counter or the epoch grows with it. */
export function sameLease(a: LeaseState, b: LeaseState): boolean {
  return a.epoch === b.epoch && a.counter === b.counter && a.holder === b.holder;
}

export function servedOf({ servedEpoch, servedBatch }: Served): Served {
  return { servedEpoch, servedBatch };
}
