import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import { type ConnectRequest, decodeConnectRequest, encodeConnectResponse } from '../../protocol/messages.js';
import { isClientIdValid } from '../../protocol/stan-subjects.js';
import type { ClientSession } from '../state/client-session.js';
import { closeClient } from './close-client.js';
import { answerAfterCommit, type BrokerContext, type Request, refuseAfterCommit } from './context.js';
import { isAsSent, isInboxValid, MAX_CONN_ID_BYTES, MAX_NAME_BYTES } from './names.js';

/** How long the owner of a client id has to show that it is alive, when another one wants the id. The Go server's figure. */
const OWNER_ANSWER_MS = 500;
const PROTOCOL_LEVEL = 1;

/** What a client that asks is told of its guids: each is stored once, and those that it used before are known or not. */
const GuidMemory = { newConnection: 1, sameConnection: 2 } as const;

/** Connect requests: registers a client, unless another one that is alive has its id. */
export class ConnectHandler {
  readonly #context: BrokerContext;
  /** Client ids whose present owner is being asked. Another request for the same id is refused meanwhile. */
  readonly #checking = new Set<string>();

  constructor(context: BrokerContext) {
    this.#context = context;
  }

  handle(request: Request): void {
    const context = this.#context;
    const connect = decode(request.payload);
    if (
      connect === undefined ||
      !isInboxValid(connect.heartbeatInbox) ||
      !isAsSent(connect.heartbeatInbox, request.payload) ||
      connect.connId.length > MAX_CONN_ID_BYTES
    ) {
      context.badInput.note('malformed ConnectRequest', () => ({
        clientId: connect?.clientId.slice(0, 100),
      }));
      this.#refuse(request, STAN_ERROR.invalidConnectRequest);
      return;
    }
    const { clientId } = connect;
    if (clientId.length > MAX_NAME_BYTES || !isClientIdValid(clientId)) {
      context.badInput.note('invalid client id', () => ({ clientId: clientId.slice(0, 100) }));
      this.#refuse(request, STAN_ERROR.invalidClientId);
      return;
    }
    const owner = context.clients.get(clientId);
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
    const { link } = context.turn;
    void context.pinger.ping(owner.record.heartbeatInbox, OWNER_ANSWER_MS).then((isAlive) => {
      this.#checking.delete(clientId);
      if (context.isDraining) return;
      context.turn.run(() => {
        // Without NATS nobody can answer: that says nothing of the owner.
        if (isAlive || context.turn.link !== link) {
          context.log.debug({ clientId }, 'connect refused: the client id is in use and its owner answers');
          this.#refuse(request, STAN_ERROR.clientIdRegistered);
        } else {
          this.#replace(request, connect, owner);
        }
        context.store.commit();
      });
    });
  }

  /** The owner of the client id did not answer. */
  #replace(request: Request, connect: ConnectRequest, owner: ClientSession): void {
    const context = this.#context;
    const present = context.clients.get(connect.clientId);
    if (present !== undefined && present !== owner) {
      // The owner left while it was being asked, and who has its id now was not asked.
      if (isSameConnection(present.record, connect)) this.#confirm(request, connect, present);
      else this.#refuse(request, STAN_ERROR.clientIdRegistered);
      return;
    }
    if (present !== undefined) {
      context.log.info({ clientId: connect.clientId }, 'client replaced: its owner did not answer');
      closeClient(context, present);
    }
    this.#register(request, connect);
  }

  /** It asks again because it has not seen the answer: the same connection, so the same answer. */
  #confirm(request: Request, connect: ConnectRequest, client: ClientSession): void {
    const context = this.#context;
    // Its first request may not be durable yet: the answer waits as that one's does.
    context.store.putClient(client.record);
    answerAfterCommit(context, request.reply, this.#response(connect, GuidMemory.sameConnection));
  }

  #register(request: Request, connect: ConnectRequest): void {
    const context = this.#context;
    const client = context.newClientSession({
      clientId: connect.clientId,
      heartbeatInbox: connect.heartbeatInbox,
      connId: connect.connId,
      protocol: connect.protocol,
      pingIntervalSeconds: connect.pingInterval,
      pingMaxOut: connect.pingMaxOut,
      session: context.nextSession++,
    });
    context.clients.add(client);
    context.store.putClient(client.record);
    context.wheel.arm(client, context.options.heartbeatIntervalMs);
    answerAfterCommit(context, request.reply, this.#response(connect, GuidMemory.newConnection));
    context.log.debug({ clientId: client.id }, 'client connected');
  }

  #response(connect: ConnectRequest, guidMemory: number): Uint8Array {
    const { subjects } = this.#context;
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
    refuseAfterCommit(this.#context, request.reply, encodeConnectResponse({ error }));
  }
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
