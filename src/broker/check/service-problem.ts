import type { NatsRefusal } from '../../nats/refusal.js';

/** What can be in the way of clients. A list, so that each has a series of its own from the start. */
export const SERVICE_PROBLEM_KINDS = ['wrong account', 'refused', 'not heard', 'other server'] as const;

/** Why clients are not served, or not as they should be. */
export interface ServiceProblem {
  readonly kind: (typeof SERVICE_PROBLEM_KINDS)[number];
  /** For people: what, where, what to do. */
  readonly text: string;
  /** It is this broker's, so that a standby may do better. */
  readonly isOwn: boolean;
}

/** @param server `host:port` of the NATS server */
export function wrongAccount(server: string): ServiceProblem {
  return {
    kind: 'wrong account',
    isOwn: true,
    text:
      `no client can be heard: the NATS server at ${server} has logged this broker in to its system account, where clients are not. ` +
      'Give it a user of the account that clients use',
  };
}

/** NATS has refused what clients need. */
export function refusedProblem(refusals: Iterable<NatsRefusal>, server: string): ServiceProblem {
  // In whatever order they came, it is the same problem.
  const all = [...refusals].sort((one, other) => ((one.subject ?? '') < (other.subject ?? '') ? -1 : 1));
  const what = (['subscribe', 'publish'] as const).flatMap((operation) => {
    const subjects = all
      .filter((refusal) => refusal.operation === operation)
      .map(({ subject }) => `"${subject}"`);
    return subjects.length === 0 ? [] : [`${operation} to ${subjects.join(', ')}`];
  });
  const limit = all.find(({ operation }) => operation === 'subscription limit');
  if (limit !== undefined) what.push(`have more subscriptions (${limit.text})`);
  return {
    kind: 'refused',
    isOwn: true,
    text:
      `clients are not served: the NATS server at ${server} does not let this broker ${what.join(', nor ')}. ` +
      'Give the user of the brokers the permissions of docs/install.md, and its account room for subscriptions',
  };
}

/** NATS does not let the broker listen where clients send their acks that came along with an import. Another member may do that as little. */
export function importedAcksRefused(server: string): ServiceProblem {
  return {
    kind: 'refused',
    isOwn: false,
    text:
      `acks of imported subscriptions are not heard: the NATS server at ${server} does not let this broker subscribe to their ack inboxes, which ` +
      'the former server has named. What their clients acknowledge comes to them again and again. Give the user of the brokers the permission subscribe "_INBOX.>", or start those clients again',
  };
}

/**
 * What the broker sends to itself does not come back.
 *
 * @param isServing it is found now, and not from when it served last
 * @param isHopeless to make the link anew has not helped
 */
export function notHeard(
  subjects: readonly string[],
  server: string,
  { isServing, isHopeless }: { isServing: boolean; isHopeless: boolean },
): ServiceProblem {
  const comes = isServing ? 'does not come back' : 'did not come back when it served last';
  return {
    kind: 'not heard',
    isOwn: isHopeless,
    text:
      `clients may not be heard: what this broker sends to itself through the NATS server at ${server} ${comes} on ${subjects.join(', ')}. ` +
      'Look at what is between the two, and at the permissions and imports of its user in NATS',
  };
}

export function otherServerProblem(clusterId: string, server: string): ServiceProblem {
  return {
    kind: 'other server',
    isOwn: false,
    text:
      `another streaming server answers for cluster id "${clusterId}" on the NATS servers of ${server}: clients hear both, and both store what ` +
      'is published, each with sequences of its own. Stop one of them, or give it another cluster id',
  };
}
