import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { askStatus } from '../group/ask.js';
import type { MemberStatus } from '../group/status.js';

/** The group did not do in time what was expected of it. The message is for people. */
export class GroupError extends Error {
  override readonly name = 'GroupError';
}

const LOOK_MS = 50;

/** A group as its members tell it over NATS. */
export class GroupView {
  readonly group: string;
  readonly #nats: NatsConnection;
  readonly #clusterId: string;

  constructor(nats: NatsConnection, clusterId: string, group: string) {
    this.#nats = nats;
    this.#clusterId = clusterId;
    this.group = group;
  }

  /** Those that answer. */
  async members(): Promise<MemberStatus[]> {
    return await askStatus(this.#nats, this.#clusterId, this.group).catch(() => []);
  }

  /**
   * Waits until the members are as `find` wants them.
   *
   * @param what it waits for, in words
   * @param find returns undefined as long as they are not
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
      const members = await this.members();
      const found = find(members);
      if (found !== undefined) return found;
      if (performance.now() > untilMs)
        throw new GroupError(`${what}: not within ${timeoutMs / 1000} s. ${described(members)}`);
      await sleep(LOOK_MS, undefined, { signal });
    }
  }
}

/** The active, if there is one and no other, and all others watch. @returns undefined if the group is not whole */
export function wholeGroup(members: readonly MemberStatus[], count: number): MemberStatus | undefined {
  const actives = members.filter(({ role }) => role === 'active');
  const standbys = members.filter(({ role }) => role === 'standby');
  return actives.length === 1 && standbys.length >= count - 1 ? actives[0] : undefined;
}

function described(members: readonly MemberStatus[]): string {
  if (members.length === 0) return 'No member answers.';
  const each = members.map(({ node, role, epoch, trouble }) => {
    return `${node} ${role} (epoch ${epoch}${trouble === null ? '' : `, ${trouble}`})`;
  });
  return `Members that answer: ${each.join(', ')}.`;
}
