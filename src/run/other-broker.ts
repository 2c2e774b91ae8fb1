import { randomBytes } from 'node:crypto';
import type { Requester } from '../nats/control-connection.js';
import { encodePing } from '../protocol/messages.js';
import type { StanSubjects } from '../protocol/stan-subjects.js';

/** How long another broker of the cluster id may take to answer, as in the Go server. */
const ANSWER_MS = 250;

/** Whether a streaming server answers for the cluster id. Each answers the ping of a client that it does not know. */
export async function isAnswered(
  control: Pick<Requester, 'request'>,
  { pings }: StanSubjects,
): Promise<boolean> {
  const unknownClient = encodePing({ connId: randomBytes(16) });
  try {
    await control.request(pings, unknownClient, { timeout: ANSWER_MS });
    return true;
  } catch {
    return false;
  }
}
