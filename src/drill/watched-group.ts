import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { statusAnswers } from '../group/report/ask-status.js';
import type { MemberStatus } from '../group/report/member-status.js';

/** The group failed an expectation of the drill. The message is for people. */
export class GroupError extends Error {
  override readonly name = 'GroupError';
}

const LOOK_MS = 50;

/** A group, watched through the status of its members over NATS. */
export class GroupView {
  readonly group: string;
  readonly #nats: NatsConnection;
  readonly #clusterId: string;
  readonly #key: () => Promise<Buffer | undefined>;

  /** @param key of the group, by which answers count */
  constructor(
    nats: NatsConnection,
    clusterId: string,
    group: string,
    key: () => Promise<Buffer | undefined>,
  ) {
    this.#nats = nats;
    this.#clusterId = clusterId;
    this.group = group;
    this.#key = key;
  }

  /**
   * The status of each member that answers.
   *
   * @param isEnough whether the answers so far suffice; otherwise it waits for more
   */
  async members(
    isEnough: (members: readonly MemberStatus[]) => boolean = () => false,
  ): Promise<MemberStatus[]> {
    try {
      const key = await this.#key();
      const question = { clusterId: this.#clusterId, group: this.group, key, isEnough };
      return (await statusAnswers(this.#nats, question)).members;
    } catch {
      // There is no connection at the moment.
      return [];
    }
  }

  /**
   * Waits until `find` returns a value.
   *
   * @param what the expectation in words, for the error
   * @param find looks at the members; undefined means to wait
   * @throws GroupError if that takes too long; the signal's reason if it is aborted
   */
  async until<T>(
    what: string,
    find: (members: readonly MemberStatus[]) => T | undefined,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<T> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const members = await this.members((some) => find(some) !== undefined);
      const found = find(members);
      if (found !== undefined) return found;
      if (performance.now() > untilMs)
        throw new GroupError(`${what}: not within ${timeoutMs / 1000} s. ${described(members)}`);
      await sleep(LOOK_MS, undefined, { signal });
    }
  }
}

/** The active of a group that is whole: it has one active, and all others are standbys. @returns undefined if it is not whole */
export function wholeGroup(members: readonly MemberStatus[], count: number): MemberStatus | undefined {
  const actives = members.filter(({ role }) => role === 'active');
  const standbys = members.filter(({ role }) => role === 'standby');
  return actives.length === 1 && standbys.length >= count - 1 ? actives[0] : undefined;
}

function described(members: readonly MemberStatus[]): string {
  if (members.length === 0) return 'No member answers.';
  const each = members.map(({ node, role, epoch, trouble: problem }) => {
    return `${node} ${role} (epoch ${epoch}${problem === null ? '' : `, ${problem}`})`;
  });
  return `Members that answer: ${each.join(', ')}.`;
}
