import type { GoSubscription } from '../go-wire/go-records.js';
import type { SourceSubscription } from '../types/source.js';
import type { FilePlace, ProblemList } from './problem-list.js';

/** A subscription as the Go server has stored it. */
export interface StoredSubscription {
  state: GoSubscription;
  /** Delivered and not acknowledged. */
  readonly pending: Set<number>;
}

/**
 * What the Go server makes of the stored subscriptions of a channel when it starts (`recoverOneSub` in its server.go): each is online, an offline
 * durable, the state of a durable queue group, or dropped.
 *
 * @param isConnected whether the client with this id was connected
 */
export function recoveredSubscriptions(
  stored: readonly StoredSubscription[],
  isConnected: (clientId: string) => boolean,
  place: FilePlace,
  problems: ProblemList,
): SourceSubscription[] {
  const recovered: SourceSubscription[] = [];
  const durables = new Map<string, SourceSubscription>();
  const groups = new Map<string, SourceSubscription>();
  const left: SourceSubscription[] = [];
  for (const { state, pending } of stored) {
    const { id: _, isClosed, ...kept } = state;
    const isDurable = state.isDurable || state.durableName !== '';
    const subscription: SourceSubscription = {
      ...kept,
      isDurable,
      isOnline: isConnected(state.clientId) && !(isClosed && state.durableName !== ''),
      pending: ascending(pending),
    };
    if (state.durableName !== '') {
      const key = `${state.clientId}\n${state.durableName}`;
      const other = durables.get(key);
      if (other !== undefined) {
        mergeDurable(other, subscription, place, problems);
        continue;
      }
      durables.set(key, subscription);
      recovered.push(subscription);
    } else if (state.queueGroup !== '' && isDurable && state.clientId === '') {
      const group = groups.get(state.queueGroup);
      if (group === undefined) {
        groups.set(state.queueGroup, subscription);
        recovered.push(subscription);
      } else {
        mergeGroup(group, subscription, place, problems);
      }
    } else if (subscription.isOnline) {
      recovered.push(subscription);
    } else if (state.queueGroup !== '') {
      left.push(subscription);
    }
  }
  liftGroups(recovered);
  return recovered.concat(stateOfLeft(left, recovered, place, problems));
}

/**
 * What members of queue groups have left behind whose clients are gone: a server that was killed had written the end of the client, and not that of
 * the member. The Go server drops them with what they had not acknowledged, so others never get it; here it is the group's.
 */
function stateOfLeft(
  left: readonly SourceSubscription[],
  recovered: readonly SourceSubscription[],
  place: FilePlace,
  problems: ProblemList,
): SourceSubscription[] {
  const positions = new Map<string, number>();
  for (const subscription of recovered) {
    const key = groupKey(subscription.queueGroup, subscription.isDurable);
    positions.set(key, Math.max(positions.get(key) ?? 0, subscription.lastSent));
  }
  const states: SourceSubscription[] = [];
  for (const member of left) {
    const { queueGroup, isDurable, clientId } = member;
    const position = positions.get(groupKey(queueGroup, isDurable));
    // A group that is not durable has ended with its last member.
    if (position === undefined && !isDurable) continue;
    // What is behind the position of the others comes as new.
    const pending = member.pending.filter((sequence) => sequence <= (position ?? sequence));
    if (position !== undefined && pending.length === 0) continue;
    problems.note(
      place,
      `a member of queue group ${queueGroup} is left from client ${clientId}, which is not connected: what it has not acknowledged comes along for the group, though the old server would drop it`,
    );
    states.push({
      ...{ clientId: '', inbox: '', ackInbox: '', queueGroup, durableName: '', isDurable, isOnline: false },
      ...{ maxInFlight: 0, ackWaitSeconds: 0, lastSent: position ?? member.lastSent, pending },
    });
  }
  return states;
}

/**
 * Two records of one durable, a fault of old versions: the one that is online counts, or the one that is further back, with what is pending
 * in either. So no message is skipped.
 */
function mergeDurable(
  durable: SourceSubscription,
  other: SourceSubscription,
  place: FilePlace,
  problems: ProblemList,
): void {
  problems.note(
    place,
    `durable ${durable.durableName} of client ${durable.clientId} is there twice: the one that is online comes along, or the one with the lower position, with what is pending in either`,
  );
  const pending = ascending([...durable.pending, ...other.pending]);
  const isOther = durable.isOnline === other.isOnline ? other.lastSent < durable.lastSent : other.isOnline;
  Object.assign(durable, isOther ? other : {}, { pending });
}

/** Two states of one durable queue group. The Go server takes the one that is further; what is pending of the other is kept here. */
function mergeGroup(
  group: SourceSubscription,
  other: SourceSubscription,
  place: FilePlace,
  problems: ProblemList,
): void {
  problems.note(
    place,
    `the state of queue group ${group.queueGroup} is there twice: the higher position comes along, and what is pending in either`,
  );
  group.lastSent = Math.max(group.lastSent, other.lastSent);
  group.pending = ascending([...group.pending, ...other.pending]);
}

/** The position of a group is the highest one of its members and its own. */
function liftGroups(subscriptions: readonly SourceSubscription[]): void {
  for (const group of subscriptions) {
    if (group.queueGroup === '' || group.clientId !== '') continue;
    for (const { queueGroup, lastSent } of subscriptions)
      if (queueGroup === group.queueGroup) group.lastSent = Math.max(group.lastSent, lastSent);
  }
}

function groupKey(name: string, isDurable: boolean): string {
  return `${isDurable ? 'durable' : 'plain'} ${name}`;
}

function ascending(sequences: Iterable<number>): number[] {
  return [...new Set(sequences)].sort((a, b) => a - b);
}
