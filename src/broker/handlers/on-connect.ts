import type { Logger } from '../../log/logger.js';
import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { type ConnectRequest, decodeConnectRequest, encodeConnectResponse } from '../../protocol/messages.js';
import { isClientIdValid, type StanSubjects } from '../../protocol/stan-subjects.js';
import type { Store } from '../../store/types/store.js';
import type { Answers } from '../delivery/answers.js';
import type { Turn } from '../delivery/turn.js';
import type { BadInput } from '../state/bad-input.js';
import { type ClientSession, PROTOCOL_LEVEL, PROVING_LEVEL } from '../state/client-session.js';
import type { Clients } from '../state/clients.js';
import type { Ids } from '../state/ids.js';
import type { ClientPinger } from './client-pinger.js';
import type { ClientCloser } from './close-client.js';
import type { Heartbeats } from './heartbeats.js';
import { isAsSent, isInboxValid, MAX_CONN_ID_BYTES, MAX_NAME_BYTES } from './names.js';
import type { Request } from './request.js';

/** How long the owner of a client id has to show that it is alive, when another one wants the id. The Go server's figure. */
const OWNER_ANSWER_MS = 500;

/** The answer to a client that asks about its guids: each is stored once, and those that it used before are known or not. */
const GuidMemory = { newConnection: 1, sameConnection: 2 } as const;

/** What a connect needs. */
export interface ConnectNeeds {
  readonly subjects: StanSubjects;
  readonly clients: Pick<Clients, 'get' | 'add'>;
  readonly ids: Pick<Ids, 'session'>;
  readonly heartbeats: Pick<Heartbeats, 'begin'>;
  readonly closer: Pick<ClientCloser, 'close'>;
  readonly pinger: ClientPinger;
  readonly turn: Pick<Turn, 'link' | 'resume' | 'follow'>;
  readonly answers: Pick<Answers, 'afterCommit' | 'refuse'>;
  readonly store: Pick<Store, 'putClient' | 'commit'>;
  readonly badInput: BadInput;
  readonly log: Logger;
}

/** Connect requests: registers a client, unless another one that is alive has its id. */
export class ConnectHandler {
  readonly #needs: ConnectNeeds;
  /** Client ids whose present owner is being asked. Another request for the same id is refused meanwhile. */
  readonly #checking = new Set<string>();

  constructor(needs: ConnectNeeds) {
    this.#needs = needs;
  }

  handle(request: Request): void {
    const { clients, badInput, pinger, turn, store, log } = this.#needs;
    const connect = decode(request.payload);
    if (
      connect === undefined ||
      !isInboxValid(connect.heartbeatInbox) ||
      !isAsSent(connect.heartbeatInbox, request.payload) ||
      connect.connId.length > MAX_CONN_ID_BYTES
    ) {
      badInput.note('malformed ConnectRequest', () => ({
        clientId: connect?.clientId.slice(0, 100),
      }));
      this.#refuse(request, STAN_ERROR.invalidConnectRequest);
      return;
    }
    const { clientId } = connect;
    if (clientId.length > MAX_NAME_BYTES || !isClientIdValid(clientId)) {
      badInput.note('invalid client id', () => ({ clientId: clientId.slice(0, 100) }));
      this.#refuse(request, STAN_ERROR.invalidClientId);
      return;
    }
    const owner = clients.get(clientId);
    if (owner === undefined) {
      this.#register(request, connect);
      return;
    }
    if (isSameConnection(owner.record, connect)) {
      this.#confirm(request, connect, owner);
      return;
    }
    if (this.#checking.has(clientId)) {
      this.#refuse(request, STAN_ERROR.clientIdRegistered);
      return;
    }
    this.#checking.add(clientId);
    const { link } = turn;
    const asked = pinger.ping(owner.record.heartbeatInbox, OWNER_ANSWER_MS).then((isAlive) => {
      this.#checking.delete(clientId);
      turn.resume(() => {
        // Without NATS no client can answer, so silence says nothing about the owner.
        if (isAlive || turn.link !== link) {
          log.debug({ clientId }, 'connect refused: the client id is in use and its owner answers');
          this.#refuse(request, STAN_ERROR.clientIdRegistered);
        } else {
          this.#replace(request, connect, owner);
        }
        store.commit();
      });
    });
    turn.follow(asked);
  }

  /** The owner of the client id did not answer. */
  #replace(request: Request, connect: ConnectRequest, owner: ClientSession): void {
    const { clients, closer, log } = this.#needs;
    const present = clients.get(connect.clientId);
    if (present !== undefined && present !== owner) {
      // The owner left while it was being asked, and the client that has its id now was not asked.
      if (isSameConnection(present.record, connect)) this.#confirm(request, connect, present);
      else this.#refuse(request, STAN_ERROR.clientIdRegistered);
      return;
    }
    if (present !== undefined) {
      log.info({ clientId: connect.clientId }, 'client replaced: its owner did not answer');
      closer.close(present);
    }
    this.#register(request, connect);
  }

  /** It asks again because it has not seen the answer: the same connection, so the same answer. */
  #confirm(request: Request, connect: ConnectRequest, client: ClientSession): void {
    const { store, answers } = this.#needs;
    // Its first request may not be durable yet: the answer waits as that one's does.
    store.putClient(client.record);
    answers.afterCommit(request.reply, this.#response(connect, GuidMemory.sameConnection));
  }

  #register(request: Request, connect: ConnectRequest): void {
    const { heartbeats, ids, clients, store, answers, log } = this.#needs;
    const client = heartbeats.begin({
      clientId: connect.clientId,
      heartbeatInbox: connect.heartbeatInbox,
      connId: connect.connId,
      protocol: levelOf(connect),
      // The store has room for whole numbers that are not negative.
      pingIntervalSeconds: Math.max(0, connect.pingInterval),
      pingMaxOut: Math.max(0, connect.pingMaxOut),
      session: ids.session(),
    });
    clients.add(client);
    store.putClient(client.record);
    answers.afterCommit(request.reply, this.#response(connect, GuidMemory.newConnection));
    log.debug({ clientId: client.id }, 'client connected');
  }

  #response(connect: ConnectRequest, guidMemory: number): Uint8Array {
    const { subjects } = this.#needs;
    const speaksPings = connect.protocol >= PROTOCOL_LEVEL;
    return encodeConnectResponse({
      pubPrefix: subjects.publish,
      subRequests: subjects.subscribe,
      unsubRequests: subjects.unsubscribe,
      subCloseRequests: subjects.subscriptionClose,
      closeRequests: subjects.close,
      protocol: PROTOCOL_LEVEL,
      ...(speaksPings && {
        pingRequests: subjects.pings,
        pingInterval: connect.pingInterval,
        pingMaxOut: connect.pingMaxOut,
      }),
      ...(connect.wantsGuidMemory && { guidMemory }),
    });
  }

  #refuse(request: Request, error: string): void {
    this.#needs.answers.refuse(request.reply, encodeConnectResponse({ error }));
  }
}

function levelOf({ protocol, connId, sendsConnId }: ConnectRequest): number {
  return sendsConnId && connId.length > 0 ? PROVING_LEVEL : Math.min(Math.max(0, protocol), PROTOCOL_LEVEL);
}

function decode(payload: Uint8Array): ConnectRequest | undefined {
  try {
    return decodeConnectRequest(payload);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function isSameConnection(
  owner: { heartbeatInbox: string; connId: Uint8Array },
  connect: ConnectRequest,
): boolean {
  return (
    owner.connId.length > 0 &&
    Buffer.compare(owner.connId, connect.connId) === 0 &&
    owner.heartbeatInbox === connect.heartbeatInbox
  );
}
