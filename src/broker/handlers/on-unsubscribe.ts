import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import {
  decodeUnsubscribeRequest,
  encodeSubscriptionResponse,
  type UnsubscribeRequest,
} from '../../protocol/messages.js';
import { answerAfterCommit, type BrokerContext, type Request, refuseAfterCommit } from './context.js';
import { endSubscription } from './end-subscription.js';

/** Ends a subscription at its client's wish: `unsubscribe` for good, `close` so that a durable can come back. */
export function handleUnsubscribe(
  context: BrokerContext,
  request: Request,
  how: 'close' | 'unsubscribe',
): void {
  let wanted: UnsubscribeRequest;
  try {
    wanted = decodeUnsubscribeRequest(request.payload);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    context.badInput.note(`malformed ${how} request`, () => ({ problem: error.message }));
    refuse(context, request, STAN_ERROR.invalidUnsubscribeRequest);
    return;
  }
  const channel = context.channels.get(wanted.subject);
  const sub = channel?.byAckInbox.get(wanted.inbox) ?? channel?.byInbox.get(wanted.inbox);
  let error: string | undefined;
  if (channel === undefined) error = STAN_ERROR.unknownChannel;
  else if (sub === undefined) error = STAN_ERROR.invalidSubscription;
  else if (sub.client?.id !== wanted.clientId) error = STAN_ERROR.unknownClient;
  if (sub === undefined || error !== undefined) {
    context.badInput.note(`${how} refused`, () => ({
      clientId: wanted.clientId.slice(0, 100),
      channel: wanted.subject.slice(0, 100),
      answer: error,
    }));
    refuse(context, request, error!);
    return;
  }
  endSubscription(context, sub, how);
  answerAfterCommit(context, request.reply, encodeSubscriptionResponse({}));
}

function refuse(context: BrokerContext, request: Request, error: string): void {
  refuseAfterCommit(context, request.reply, encodeSubscriptionResponse({ error }));
}
