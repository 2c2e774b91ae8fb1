import {
  decodeSubscriptionResponse,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  type SubscriptionRequest,
} from '../protocol/messages.js';
import { answerProblem } from './answer-problem.js';
import { ask } from './ask-broker.js';
import type { NatsConnection } from './nats-connection.js';

/** Time after which a request that may be repeated is sent again. */
export const REPEAT_MS = 500;

/** The connection, as the requests of a subscription see it. */
export interface RequestHost {
  readonly nats: NatsConnection;
  readonly clientId: string;
  readonly connId: Uint8Array;
  /** How long to wait for the answer to a request, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** NATS subjects. `subscriptionClose` is '' if the server does not have it. */
  readonly subjects: { subscribe: string; unsubscribe: string; subscriptionClose: string };
  /** Whether requests are idempotent at this broker. Other brokers may subscribe twice. */
  readonly canRepeat: boolean;
}

/**
 * Asks the broker for a subscription.
 *
 * @returns the subject for its acks
 * @throws SubscribeError if the broker refuses, or does not answer
 */
export async function requestSubscription(
  host: RequestHost,
  request: Omit<SubscriptionRequest, 'clientId' | 'connId'>,
): Promise<string> {
  const { clientId, connId, requestTimeoutMs, subjects } = host;
  const { subject, inbox } = request;
  const payload = encodeSubscriptionRequest({ ...request, clientId, connId });
  const answer = await askFor(host, subjects.subscribe, payload);
  const problem = answerProblem(answer, `the subscription to "${subject}"`, requestTimeoutMs);
  if (answer === undefined) takeBack(host, subject, inbox);
  if (problem !== undefined || answer === undefined) throw problem;
  return decodeSubscriptionResponse(answer).ackInbox;
}

/**
 * Asks the broker to end a subscription.
 *
 * @param to NATS subject of the request: `subjects.subscriptionClose` keeps a durable, `subjects.unsubscribe` removes it
 * @param inbox its ack inbox; Stanchion also finds a subscription by the inbox for its messages
 * @returns the encoded answer; undefined if there was none in time
 */
export function requestEnd(
  host: RequestHost,
  to: string,
  subject: string,
  inbox: string,
): Promise<Uint8Array | undefined> {
  const { clientId, connId } = host;
  return askFor(host, to, encodeUnsubscribeRequest({ clientId, subject, inbox, connId }));
}

/** The request may still be granted, without a reader of the answer: a durable would be in use until the connection is closed. */
function takeBack(host: RequestHost, subject: string, inbox: string): void {
  const { subscriptionClose } = host.subjects;
  if (subscriptionClose === '') return;
  requestEnd(host, subscriptionClose, subject, inbox).catch(() => {
    // NATS is closed, and so the broker will close the client.
  });
}

function askFor(host: RequestHost, to: string, payload: Uint8Array): Promise<Uint8Array | undefined> {
  return ask(host.nats, to, payload, {
    timeout: host.requestTimeoutMs,
    ...(host.canRepeat && { repeatMs: REPEAT_MS }),
  });
}
