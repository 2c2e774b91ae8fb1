import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { type CloseRequest, decodeCloseRequest, encodeCloseResponse } from '../../protocol/messages.js';
import type { Answers } from '../delivery/answers.js';
import type { BadInput } from '../state/bad-input.js';
import type { Clients } from '../state/clients.js';
import type { ClientCloser } from './close-client.js';
import type { Request } from './request.js';

/** What a close needs. */
export interface CloseNeeds {
  readonly clients: Pick<Clients, 'get'>;
  readonly closer: Pick<ClientCloser, 'close'>;
  readonly answers: Pick<Answers, 'now' | 'afterCommit' | 'refuse'>;
  readonly badInput: BadInput;
}

/** A client says goodbye. Its messages came before on the same link, so all of them are answered before this is. */
export class CloseHandler {
  readonly #needs: CloseNeeds;

  constructor(needs: CloseNeeds) {
    this.#needs = needs;
  }

  handle(request: Request): void {
    const { clients, closer, answers, badInput } = this.#needs;
    let close: CloseRequest;
    try {
      close = decodeCloseRequest(request.payload);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      badInput.note('malformed CloseRequest', () => ({ problem: error.message }));
      answers.now(request.reply, encodeCloseResponse({ error: STAN_ERROR.invalidCloseRequest }));
      return;
    }
    const client = clients.get(close.clientId);
    // A close that comes again may find another connection under the id.
    if (client === undefined || !client.mayHaveSent(close.connId)) {
      badInput.note('close of an unknown client', () => ({ clientId: close.clientId.slice(0, 100) }));
      answers.refuse(request.reply, encodeCloseResponse({ error: STAN_ERROR.unknownClient }));
      return;
    }
    closer.close(client);
    answers.afterCommit(request.reply, encodeCloseResponse({}));
  }
}
