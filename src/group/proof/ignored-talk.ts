import type { Clock } from '../../clock/clock.js';
import type { Logger } from '../../log/logger.js';
import { countsOf } from '../../util/counts.js';

/**
 * Why a message on the group's subjects changes nothing: no proof that its sender sees this store; too large, or no message; a number
 * that was heard before; a sender that has not heard this process yet, or a recording from before it.
 */
export const IGNORED_KINDS = ['unproved', 'malformed', 'repeated', 'early'] as const;
export type IgnoredKind = (typeof IGNORED_KINDS)[number];

/** What an ignored message says of itself, for people. Nothing of it is proved. */
export interface Claim {
  readonly node: string;
  readonly role: string;
  readonly storeDir: string;
  readonly storeId: string;
  readonly server: string;
}

const LOG_EVERY_MS = 60_000;
/** For how long after the last one it counts as going on. */
const GOES_ON_MS = 90_000;
const MAX_SHOWN_LENGTH = 100;

/** Counts what is said on the group's subjects and proves nothing, and tells people once a minute. */
export class IgnoredTalk {
  readonly counts = countsOf(IGNORED_KINDS);
  readonly #subject: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #loggedMs = Number.NEGATIVE_INFINITY;
  #unlogged = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #claim: Claim | undefined;

  constructor(subject: string, clock: Clock, log: Logger) {
    this.#subject = subject;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param claim reads what the message says of itself. Called once a minute at most */
  note(kind: IgnoredKind, claim?: () => Claim | undefined): void {
    this.counts[kind]++;
    // A member that has just started is early, and at a move between NATS servers a message may come twice.
    if (kind === 'early' || kind === 'repeated') return;
    const nowMs = this.#clock.monotonicMs();
    this.#lastMs = nowMs;
    this.#unlogged++;
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#claim = claim?.();
    this.#log.warn(
      {
        count: this.#unlogged,
        subject: this.#subject,
        ...(this.#claim && { claim: shortened(this.#claim) }),
      },
      `${this.#unlogged === 1 ? 'a message' : `${this.#unlogged} messages`} on ${this.#subject} had no valid proof of this store, and changed nothing${this.#claimText}. ${IGNORED_REMEDY}`,
    );
    this.#loggedMs = nowMs;
    this.#unlogged = 0;
  }

  /** Messages without a valid proof since the start. */
  get unprovedCount(): number {
    return this.counts.unproved + this.counts.malformed;
  }

  /** What is heard without proof, and what to do; undefined if nothing was for a while. */
  get problem(): string | undefined {
    if (this.#clock.monotonicMs() - this.#lastMs > GOES_ON_MS) return undefined;
    const count = this.unprovedCount;
    return (
      `${count === 1 ? 'a message' : `${count} messages`} on ${this.#subject} had no valid proof of this store since the start, ` +
      `and changed nothing${this.#claimText}. ${IGNORED_REMEDY}`
    );
  }

  get #claimText(): string {
    if (this.#claim === undefined) return '';
    const { node, role, storeDir, storeId, server } = shortened(this.#claim);
    const store = storeId === '' ? 'no store' : `store ${storeId}`;
    return ` (one claimed to be of node ${node}, ${role}, with ${store} in ${storeDir}, at NATS server ${server})`;
  }
}

/** What to do about talk without proof. */
export const IGNORED_REMEDY =
  'Either another group of the same names, or a member of release 0.1.0, is on these NATS servers: give that group another --cluster-id or --ft-group, or ' +
  'upgrade that member. Or the messages are forged: permit "_STANCHION.group.>" to brokers only';

function shortened({ node, role, storeDir, storeId, server }: Claim): Claim {
  const short = (text: string): string => text.slice(0, MAX_SHOWN_LENGTH);
  return {
    node: short(node),
    role: short(role),
    storeDir: short(storeDir),
    storeId: short(storeId),
    server: short(server),
  };
}
