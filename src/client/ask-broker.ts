import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';
import { say } from './say.js';

const NOBODY_RETRY_MS = 50;
const NO_RESPONDERS = 503;

export interface AskOptions {
  /** For an answer, ms. */
  timeout: number;
  /** Ask again while there is no answer, every so many ms: for what may be asked twice. */
  repeatMs?: number;
}

/**
 * Asks in NATS until somebody answers. When the server says that nobody listens, it is asked again: a takeover may be under
 * way.
 *
 * @returns undefined if there was no answer in time
 * @throws ConnectionLostError
 */
export function ask(
  nats: NatsConnection,
  subject: string,
  payload: Uint8Array,
  { timeout, repeatMs }: AskOptions,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    // One inbox for all tries: the first answer counts, whichever it is to.
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
      say(nats, subject, payload, { reply: inbox });
      if (repeatMs !== undefined) timer = setTimeout(publish, repeatMs);
    };
    try {
      subscription = listen(nats, inbox, (error, message) => {
        if (error !== null) end(undefined);
        else if (isNobody(message)) {
          clearTimeout(timer);
          timer = setTimeout(publish, NOBODY_RETRY_MS);
        } else end(message.data);
      });
      publish();
    } catch (error) {
      clearTimeout(deadline);
      reject(error as Error);
    }
  });
}

/** The NATS server's own answer: nobody listens on the subject. */
export function isNobody(message: NatsMessage): boolean {
  return message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
}
