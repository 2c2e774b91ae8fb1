import type { Logger } from '../log/logger.js';
import { type NatsRefusal, remedyOf } from './refusal.js';

/** Limit of logged subjects. Clients choose the subjects of answers, so without the permission any number of them is refused. */
const MAX_SUBJECTS = 20;

/** Logs the refusals on one connection: each subject once, until it has been allowed again. */
export class RefusalLog {
  readonly #logger: Logger;
  /** The refusals on the connection before this one. */
  #before: ReadonlySet<string> = new Set();
  #now = new Set<string>();
  #isFull = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Begins a new connection, on which the broker subscribes to everything again. */
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
        this.#logger.warn({ connection: refusal.connection }, 'NATS refuses the broker more subjects');
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
  if (remedy === undefined) return `NATS refuses the broker something: ${text}`;
  const refuses =
    operation === 'subscription limit'
      ? 'NATS refuses the broker another subscription'
      : `NATS refuses to let the broker ${operation === 'publish' ? 'publish on' : 'subscribe to'} ${JSON.stringify(subject)}`;
  return `${refuses}: ${remedy}; see docs/install.md`;
}
