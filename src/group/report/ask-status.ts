import { randomBytes } from 'node:crypto';
import { type Asker, askAll } from '../../nats/ask-all.js';
import { isSealed } from '../proof/seal.js';
import { parseJson } from '../talk/group-messages.js';
import { groupSubjects } from '../talk/group-subjects.js';
import type { MemberStatus } from './member-status.js';
import { memberStatusOf } from './member-status-check.js';

/**
 * How long members may take to answer, from when NATS has the request. The whole time is waited for, since the number of members is
 * unknown, and a member with a busy event loop answers long after the others.
 */
const ANSWER_MS = 500;
/** Limits of what is kept of the answers. */
const MAX_MEMBERS = 256;
const MAX_UNPROVED = 32;
const MAX_ANSWER_BYTES = 256 * 1024;
/** A new one for each request, so that no answer to an older one passes for one to it. */
const CHALLENGE_BYTES = 16;

/** The answers to one request for the status. */
export interface StatusAnswers {
  /** Those that count: with a key those that are proved by it, else all. In order of group and node. */
  readonly members: MemberStatus[];
  /** With a key, those that are not proved by it. */
  readonly unproved: MemberStatus[];
  /** Answers that are no status. */
  readonly malformed: number;
}

export interface StatusQuestion {
  readonly clusterId: string;
  /** Undefined for all groups of the cluster id. */
  readonly group: string | undefined;
  /** The group's key, which proves answers. Without one, anyone's answer counts. */
  readonly key: Buffer | undefined;
  /** Whether the answers so far suffice; otherwise the whole time is waited for. */
  readonly isEnough?: (members: readonly MemberStatus[]) => boolean;
}

/**
 * Asks all members of a group for their status, over NATS. Anyone's answer counts.
 *
 * @param group undefined for all groups of the cluster id
 */
export async function askStatus(
  nats: Asker,
  clusterId: string,
  group: string | undefined,
): Promise<MemberStatus[]> {
  return (await statusAnswers(nats, { clusterId, group, key: undefined })).members;
}

/** The same, with what counts told from what does not. */
export async function statusAnswers(
  nats: Asker,
  { clusterId, group, key, isEnough = () => false }: StatusQuestion,
): Promise<StatusAnswers> {
  const { status, statusOfAll } = groupSubjects(clusterId, group ?? '');
  const subject = group === undefined ? statusOfAll : status;
  const challenge = Buffer.from(randomBytes(CHALLENGE_BYTES).toString('base64url'));
  const found = { members: [] as MemberStatus[], unproved: [] as MemberStatus[], malformed: 0 };
  await askAll(nats, {
    ...{ subject, payload: challenge, answerMs: ANSWER_MS },
    take: (data) => {
      take(found, data, key === undefined || isSealed(key, [subject, challenge], data));
      return found.members.length === MAX_MEMBERS || isEnough(found.members);
    },
  });
  found.members.sort((a, b) => order(a.group, b.group) || order(a.node, b.node));
  return found;
}

function take(
  found: { members: MemberStatus[]; unproved: MemberStatus[]; malformed: number },
  data: Uint8Array,
  counts: boolean,
): void {
  const status = data.length > MAX_ANSWER_BYTES ? undefined : memberStatusOf(parseJson(data));
  if (status === undefined) found.malformed++;
  else if (counts) found.members.push(status);
  else if (found.unproved.length < MAX_UNPROVED) found.unproved.push(status);
}

function order(a: string, b: string): number {
  return a.localeCompare(b);
}
