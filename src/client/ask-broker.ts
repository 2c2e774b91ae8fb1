import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';
import { publishIfOpen } from './publish-if-open.js';

const NO_RESPONDERS_RETRY_MS = 50;
const NO_RESPONDERS = 503;

export interface AskOptions {
  /** How long to wait for an answer, in milliseconds. */
  timeout: number;
  /** How often to repeat the request without an answer, in milliseconds; only for requests that are idempotent. */
  repeatMs?: number;
}

/**
 * Sends a request in NATS, and waits for the answer. If the NATS server says that there is no responder, the request is sent again:
 * a takeover may be under way.
 *
 * @returns undefined if there was no answer in time
 * @throws ConnectionLostError if the NATS connection is closed or being drained
 */
export function ask(
  nats: NatsConnection,
  subject: string,
  payload: Uint8Array,
  { timeout, repeatMs }: AskOptions,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    // All tries share an inbox: the first answer counts, whichever try it answers.
    const inbox = newInbox(nats);
    let subscription: NatsSubscription | undefined;
    let timer: NodeJS.Timeout | undefined;
    const end = (answer: Uint8Array | undefined): void => {
      clearTimeout(timer);
      clearTimeout(deadline);
      subscription?.unsubscribe();
      resolve(answer);
    };
    const deadline = setTimeout(() => end(undefined), timeout);
    const publish = (): void => {
      clearTimeout(timer);
      if (nats.isClosed()) {
        end(undefined);
        return;
      }
      publishIfOpen(nats, subject, payload, { reply: inbox });
      if (repeatMs !== undefined) timer = setTimeout(publish, repeatMs);
    };
    try {
      subscription = listen(nats, inbox, (error, message) => {
        if (error !== null) end(undefined);
        else if (isNoResponders(message)) {
          clearTimeout(timer);
          timer = setTimeout(publish, NO_RESPONDERS_RETRY_MS);
        } else end(message.data);
      });
      publish();
    } catch (error) {
      clearTimeout(deadline);
      reject(error as Error);
    }
  });
}

/** Whether this is the NATS server's own answer: no client has subscribed to the subject. */
export function isNoResponders(message: NatsMessage): boolean {
  return message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
}
