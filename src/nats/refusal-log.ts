import type { Logger } from '../log/logger.js';
import { type NatsRefusal, remedyOf } from './refusal.js';

/** Clients choose the subjects that the broker answers to: a user without the permission is refused any number of them. */
const MAX_SUBJECTS = 20;

/** Logs what one connection is refused: each subject once, until it has been allowed again. */
export class RefusalLog {
  readonly #logger: Logger;
  /** What the connection before this one was refused, and what this one was. */
  #before: ReadonlySet<string> = new Set();
  #now = new Set<string>();
  #isFull = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** There is a new connection, which asks for everything again. */
  connected(): void {
    this.#before = this.#now;
    this.#now = new Set();
    this.#isFull = false;
  }

  note(refusal: NatsRefusal): void {
    const { operation, subject, text } = refusal;
    const key = subject === undefined ? text : `${operation} ${subject}`;
    if (this.#now.has(key)) return;
    if (this.#now.size >= MAX_SUBJECTS) {
      if (!this.#isFull && this.#before.size < MAX_SUBJECTS)
        this.#logger.warn({ connection: refusal.connection }, 'NATS refuses more subjects to the broker');
      this.#isFull = true;
      return;
    }
    this.#now.add(key);
    if (this.#before.has(key)) return;
    const { connection } = refusal;
    this.#logger.error({ connection, error: text }, messageFor(refusal));
  }
}

function messageFor(refusal: NatsRefusal): string {
  const { operation, subject, text } = refusal;
  const remedy = remedyOf(refusal);
  if (remedy === undefined) return `NATS refuses something to the broker: ${text}`;
  const refuses =
    operation === 'subscription limit'
      ? 'NATS refuses the broker another subscription'
      : `NATS refuses to let the broker ${operation === 'publish' ? 'publish on' : 'subscribe to'} ${JSON.stringify(subject)}`;
  return `${refuses}: ${remedy}; see docs/install.md`;
}
