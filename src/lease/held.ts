// Who holds a lease, for people, and the refusal to share its store.

import { StoreError } from '../files/store-error.js';
import { type LeaseState, RELEASED } from './lease-state.js';
import { parseHolder } from './process-identity.js';

/** Whether the lease is one that no member of the group takes part in: that of a broker without a group, or of another group. */
export function isForeign(state: LeaseState, self: string, group: string | undefined): boolean {
  if (state.holder === RELEASED || state.holder === self) return false;
  return state.kind === 'alone' || isOtherGroup(state, group);
}

/** Whether it is held by a member of a group of another name. */
export function isOtherGroup(state: LeaseState, group: string | undefined): boolean {
  return state.kind === 'group' && state.group !== undefined && group !== undefined && state.group !== group;
}

/** The holder with its kind, such as `node "a" (host h, pid 7), a member of group "g"`. */
export function holderText(state: LeaseState): string {
  const holder = parseHolder(state.holder);
  const who =
    holder === undefined
      ? state.holder
      : `node "${holder.nodeName}" (host ${holder.identity.host}, pid ${holder.identity.pid})`;
  if (state.kind === 'alone') return `${who}, which is in no group`;
  if (state.group !== undefined) return `${who}, a member of group "${state.group}"`;
  return who;
}

/** What is said of a store whose folder has vanished, or the volume under it. @param path that leads nowhere */
export function goneText(path: string): string {
  return (
    `The store is gone: ${path} holds no store any more, and no other broker has taken it over. Its folder has been removed or renamed, or its volume ` +
    'unmounted. Put it back before a broker starts on it again: one that finds an empty folder makes a new, empty store'
  );
}

/** The refusal of a broker that cannot have the store while its holder lives. */
export function held(dir: string, state: LeaseState): StoreError {
  const stop =
    state.kind === 'group'
      ? 'Stop that group first, or start this broker as a member of it with --ft-group'
      : 'Stop that broker first';
  return new StoreError(
    'held',
    `The store in ${dir} is held by ${holderText(state)}, epoch ${state.epoch}. ${stop}, or give another --dir`,
  );
}
