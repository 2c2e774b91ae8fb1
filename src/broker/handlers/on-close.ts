import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { type CloseRequest, decodeCloseRequest, encodeCloseResponse } from '../../protocol/messages.js';
import type { ClientSession } from '../state/client-session.js';
import { closeClient } from './close-client.js';
import {
  answerAfterCommit,
  answerNow,
  type BrokerContext,
  type Request,
  refuseAfterCommit,
} from './context.js';

/** A client says goodbye. Its messages came before on the same link, so all of them are answered before this is. */
export function handleClose(context: BrokerContext, request: Request): void {
  let close: CloseRequest;
  try {
    close = decodeCloseRequest(request.payload);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    context.badInput.note('malformed CloseRequest', () => ({ problem: error.message }));
    answerNow(context, request.reply, encodeCloseResponse({ error: STAN_ERROR.invalidCloseRequest }));
    return;
  }
  const client = context.clients.get(close.clientId);
  if (client === undefined || !isOwn(close, client)) {
    context.badInput.note('close of an unknown client', () => ({ clientId: close.clientId.slice(0, 100) }));
    refuseAfterCommit(context, request.reply, encodeCloseResponse({ error: STAN_ERROR.unknownClient }));
    return;
  }
  closeClient(context, client);
  answerAfterCommit(context, request.reply, encodeCloseResponse({}));
}

/** A close that comes again may find another connection under the id. */
function isOwn({ connId }: CloseRequest, { record }: ClientSession): boolean {
  return connId.length === 0 || Buffer.compare(connId, record.connId) === 0;
}
