import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import {
  decodeUnsubscribeRequest,
  encodeSubscriptionResponse,
  type UnsubscribeRequest,
} from '../../protocol/messages.js';
import type { Answers } from '../delivery/answers.js';
import type { BadInput } from '../state/bad-input.js';
import type { Channels } from '../state/channels.js';
import type { SubscriptionEnder } from './end-subscription.js';
import type { Request } from './request.js';

/** What an unsubscribe needs. */
export interface UnsubscribeNeeds {
  readonly channels: Pick<Channels, 'get'>;
  readonly ender: Pick<SubscriptionEnder, 'end'>;
  readonly answers: Pick<Answers, 'afterCommit' | 'refuse'>;
  readonly badInput: BadInput;
}

/** Ends a subscription at its client's wish: `unsubscribe` for good, `close` so that a durable can come back. */
export class UnsubscribeHandler {
  readonly #needs: UnsubscribeNeeds;

  constructor(needs: UnsubscribeNeeds) {
    this.#needs = needs;
  }

  handle(request: Request, how: 'close' | 'unsubscribe'): void {
    const { channels, ender, answers, badInput } = this.#needs;
    const refuse = (error: string): void =>
      answers.refuse(request.reply, encodeSubscriptionResponse({ error }));
    let wanted: UnsubscribeRequest;
    try {
      wanted = decodeUnsubscribeRequest(request.payload);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      badInput.note(`malformed ${how} request`, () => ({ problem: error.message }));
      refuse(STAN_ERROR.invalidUnsubscribeRequest);
      return;
    }
    const { subject, inbox, clientId, connId } = wanted;
    const channel = channels.get(subject);
    // A client that has not seen the answer to its subscription request knows no ack inbox.
    const sub = channel?.byAckInbox.get(inbox) ?? channel?.byInbox.get(inbox);
    if (sub?.client?.id === clientId && sub.client.mayHaveSent(connId)) {
      ender.end(sub, how);
      answers.afterCommit(request.reply, encodeSubscriptionResponse({}));
      return;
    }
    let error: string = STAN_ERROR.unknownClient;
    if (channel === undefined) error = STAN_ERROR.unknownChannel;
    else if (sub === undefined) error = STAN_ERROR.invalidSubscription;
    badInput.note(`${how} refused`, () => ({
      clientId: clientId.slice(0, 100),
      channel: subject.slice(0, 100),
      answer: error,
    }));
    refuse(error);
  }
}
