import { randomBytes } from 'node:crypto';
import type { Requester } from '../nats/control-connection.js';
import { encodePing } from '../protocol/messages.js';
import type { StanSubjects } from '../protocol/stan-subjects.js';

/** How long another broker of the cluster id has to show itself at the start. The Go server's figure. */
const ANSWER_MS = 250;

/** Whether a streaming server answers for the cluster id: each answers the ping of a client that it does not know. */
export async function isAnswered(
  control: Pick<Requester, 'request'>,
  { pings }: StanSubjects,
): Promise<boolean> {
  const nobody = encodePing({ connId: randomBytes(16) });
  try {
    await control.request(pings, nobody, { timeout: ANSWER_MS });
    return true;
  } catch {
    return false;
  }
}
