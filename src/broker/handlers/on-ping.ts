import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { decodePing, encodePingResponse, type Ping } from '../../protocol/messages.js';
import { answerNow, type BrokerContext, type Request, refuseAfterCommit } from './context.js';
import { confirmAlive } from './heartbeats.js';

const OK = encodePingResponse({});
const UNKNOWN = encodePingResponse({ error: STAN_ERROR.pingUnknownConnection });

/** A client asks whether it is still known. */
export function handlePing(context: BrokerContext, request: Request): void {
  let ping: Ping;
  try {
    ping = decodePing(request.payload);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    context.badInput.note('malformed Ping', () => ({ problem: error.message }));
    return;
  }
  if (ping.connId.length === 0) {
    context.badInput.note('Ping without connection id', () => ({}));
    return;
  }
  const client = context.clients.byConnId(ping.connId);
  if (client === undefined) {
    refuseAfterCommit(context, request.reply, UNKNOWN);
    return;
  }
  answerNow(context, request.reply, OK);
  if (client.isSilent) void confirmAlive(context, client);
}
