import { nodeFs } from '../../src/files/fs.js';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { HandoverAnswer } from '../../src/group/roles/handover-requests.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { encodeHandoverRequest } from '../../src/group/talk/handover-request.js';
import type { Asker } from '../../src/nats/ask-all.js';
import type { Requester } from '../../src/nats/control-connection.js';
import { readIdentity } from '../../src/store/file/identity.js';

const ANSWER_MS = 2_000;
let lastNumber = 0;

/** Asks the active of a group to hand over, with the key of its store, as `stanchion drill` does. */
export async function askToHandOver(
  nats: Requester & Asker,
  { clusterId, group, dir }: { clusterId: string; group: string; dir: string },
): Promise<HandoverAnswer> {
  const identity = await readIdentity(nodeFs, dir);
  const active = (await askStatus(nats, clusterId, group)).find(({ role }) => role === 'active');
  if (active === undefined) return { ok: false, error: 'no member is active' };
  const { handover } = groupSubjects(clusterId, group);
  lastNumber = Math.max(lastNumber + 1, Date.now());
  const { member, epoch } = active;
  const request = encodeHandoverRequest(identity?.groupKey, handover, { member, epoch, number: lastNumber });
  const answer = await nats.request(handover, request, { timeout: ANSWER_MS });
  // Without its seal.
  const { mac: _, ...rest } = answer.json<HandoverAnswer & { mac?: string }>();
  return rest;
}
