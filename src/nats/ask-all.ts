import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a question needs: a control connection has it, and any connection of nats.js. */
export interface Asker {
  subscribe(
    subject: string,
    options: { callback(error: Error | null, message: Answer): void },
  ): { unsubscribe(): void };
  publish(subject: string, payload: Uint8Array, options: { reply: string }): void;
  /** Resolves when the server has processed all that was sent before, and what it sent before has come in. */
  flush(): Promise<void>;
  /** Those of a connection of nats.js, which has them though its types do not. */
  readonly options?: { readonly inboxPrefix?: string };
}

export interface Answer {
  readonly data: Uint8Array;
  /** The server's own have a code. */
  readonly headers?: { readonly code: number } | undefined;
}

export interface Question {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** How long those that listen may take, from when NATS has the question. */
  readonly answerMs: number;
  /** Gets each answer as it comes. @returns whether that is enough */
  readonly take: (data: Uint8Array) => boolean;
}

const NO_RESPONDERS = 503;
/** A program may have permission for another one only. */
const INBOX_PREFIX = '_INBOX';
const INBOX_BYTES = 16;
/** A NATS server that takes longer is given up. */
const MAX_SERVER_MS = 2_000;

/**
 * Asks all that listen on a subject, whose number is unknown. A pause of this process, or of the NATS server, takes nothing from the time
 * for answers: it begins when the server has the question, and what the server has sent by its end is read.
 *
 * @throws Error if the connection is or goes down
 */
export async function askAll(nats: Asker, { subject, payload, answerMs, take }: Question): Promise<void> {
  const over = new AbortController();
  const inbox = `${nats.options?.inboxPrefix ?? INBOX_PREFIX}.${randomBytes(INBOX_BYTES).toString('hex')}`;
  const answers = nats.subscribe(inbox, {
    callback: (error, message) => {
      if (over.signal.aborted) return;
      // No one listens. What another program answers with nothing is no answer.
      const isLast = error !== null || message.headers?.code === NO_RESPONDERS;
      if (isLast || (message.data.length > 0 && take(message.data))) over.abort();
    },
  });
  try {
    nats.publish(subject, payload, { reply: inbox });
    await flushed(nats, over.signal);
    await passed(answerMs, over.signal);
    await flushed(nats, over.signal);
  } finally {
    over.abort();
    answers.unsubscribe();
  }
}

/** Resolves when the server has answered, at the latest after its time, or when the signal comes. */
async function flushed(nats: Asker, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await Promise.race([nats.flush(), passed(MAX_SERVER_MS, signal)]);
}

async function passed(ms: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await sleep(ms, undefined, { signal }).catch(() => {});
}
