import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { decodePing, encodePingResponse, type Ping } from '../../protocol/messages.js';
import type { Answers } from '../delivery/answers.js';
import type { BadInput } from '../state/bad-input.js';
import type { Clients } from '../state/clients.js';
import type { Heartbeats } from './heartbeats.js';
import type { Request } from './request.js';

const OK = encodePingResponse({});
const UNKNOWN = encodePingResponse({ error: STAN_ERROR.pingUnknownConnection });

/** What a ping needs. */
export interface PingNeeds {
  readonly clients: Pick<Clients, 'byConnId'>;
  readonly heartbeats: Pick<Heartbeats, 'confirmAlive'>;
  readonly answers: Pick<Answers, 'now' | 'refuse'>;
  readonly badInput: BadInput;
}

/** A client asks whether it is still known. */
export class PingHandler {
  readonly #needs: PingNeeds;

  constructor(needs: PingNeeds) {
    this.#needs = needs;
  }

  handle(request: Request): void {
    const { clients, heartbeats, answers, badInput } = this.#needs;
    let ping: Ping;
    try {
      ping = decodePing(request.payload);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      badInput.note('malformed Ping', () => ({ problem: error.message }));
      return;
    }
    if (ping.connId.length === 0) {
      badInput.note('Ping without connection id', () => ({}));
      return;
    }
    const client = clients.byConnId(ping.connId);
    if (client === undefined) {
      answers.refuse(request.reply, UNKNOWN);
      return;
    }
    answers.now(request.reply, OK);
    if (client.isSilent) heartbeats.confirmAlive(client);
  }
}
