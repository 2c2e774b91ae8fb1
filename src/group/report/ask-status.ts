import type { Requester } from '../../nats/control-connection.js';
import { groupSubjects } from '../talk/group-subjects.js';
import type { MemberStatus } from './member-status.js';

/**
 * How long members may take to answer. The whole time is waited for, since the number of members is unknown, and a member with a busy
 * event loop answers long after the others.
 */
const ANSWER_MS = 500;
const MAX_MEMBERS = 1_000;

/**
 * Asks all members of a group for their status, over NATS.
 *
 * @param group undefined for all groups of the cluster id
 */
export async function askStatus(
  nats: Pick<Requester, 'requestMany'>,
  clusterId: string,
  group: string | undefined,
): Promise<MemberStatus[]> {
  const { status, statusOfAll } = groupSubjects(clusterId, group ?? '');
  const found: MemberStatus[] = [];
  const answers = await nats.requestMany(group === undefined ? statusOfAll : status, undefined, {
    maxWait: ANSWER_MS,
  });
  try {
    for await (const answer of answers) {
      if (!(answer instanceof Error) && answer.data.length > 0) found.push(answer.json<MemberStatus>());
      if (found.length === MAX_MEMBERS) break;
    }
  } catch (error) {
    // Without a responder there is no member.
    if (!isNobody(error)) throw error;
  }
  return found.sort((a, b) => a.group.localeCompare(b.group) || a.node.localeCompare(b.node));
}

/** Whether the error is that of a missing responder: from the control connection, or from nats.js, which may wrap it, and had a code for it before version 3. */
function isNobody(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { name, code, cause } = error as Error & { code?: unknown };
  return name === 'NoResponders' || code === '503' || isNobody(cause);
}
