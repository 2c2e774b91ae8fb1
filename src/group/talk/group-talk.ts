import type { Clock } from '../../clock/clock.js';
import type { Logger } from '../../log/logger.js';
import { isCount, isListOf, isObject, isText } from '../../util/fields.js';
import { IgnoredTalk } from '../proof/ignored-talk.js';
import { isSealed, seal } from '../proof/seal.js';
import { type Freshness, MAX_SENDERS, Senders } from '../proof/senders.js';
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type GroupMessage,
  groupMessageOf,
  type Heartbeat,
  MAX_MESSAGE_BYTES,
  parseJson,
} from './group-messages.js';
import type { GroupSubjects } from './group-subjects.js';

/** The part of a store's identity that proves messages. */
export interface ProvingStore {
  readonly storeId: string;
  /** Undefined in a store of release 0.1.0, which has none. */
  readonly groupKey?: Buffer | undefined;
}

/** A message as it counts: `group` by a member that sees the same store; `own` by this process; `claim` by anyone at all. */
export type Said =
  | { readonly by: 'group'; readonly message: GroupMessage }
  | { readonly by: 'own'; readonly message: GroupMessage }
  | { readonly by: 'claim'; readonly heartbeat: Heartbeat };

export interface GroupTalkOptions {
  subjects: GroupSubjects;
  /** The name of this member. */
  holder: string;
  /** A random name of this process: letters and digits. */
  boot: string;
  clock: Clock;
  log: Logger;
}

const MAX_CHALLENGE_LENGTH = 64;
/** Limit of a request of a member, in bytes. */
const MAX_REQUEST_BYTES = MAX_MESSAGE_BYTES;
/** Members find the key of a store that was made or carried over one after the other, each within this time. */
const NEW_KEY_MS = 10_000;
const isChallenge = (value: unknown): value is string => isText(value, MAX_CHALLENGE_LENGTH);

/**
 * The messages between members over NATS, and the check of their proofs. Any connection to NATS may publish anything on the group's
 * subjects. So each message is sealed by the key that lies in the store: only who can read the store can make one. What has no valid seal
 * is counted, and changes nothing.
 *
 * A store of release 0.1.0 has no key: until it is carried over, members believe what they hear, as that release does.
 */
export class GroupTalk {
  readonly ignored: IgnoredTalk;
  readonly #options: GroupTalkOptions;
  readonly #senders: Senders;
  #store: ProvingStore | undefined;
  /** When this member found the key. */
  #keyMs = Number.NEGATIVE_INFINITY;

  constructor(options: GroupTalkOptions) {
    const { subjects, boot, clock, log } = options;
    this.#options = options;
    this.#senders = new Senders(boot);
    this.ignored = new IgnoredTalk(subjects.talk, clock, log);
  }

  /** The key of the group's store. Undefined while there is no store, or one of release 0.1.0. */
  get key(): Buffer | undefined {
    return this.#store?.groupKey;
  }

  /** Notes the store that this member sees: from now on only who sees the same one is believed. */
  sees(store: ProvingStore): void {
    if (store.groupKey !== undefined && this.key === undefined)
      this.#keyMs = this.#options.clock.monotonicMs();
    this.#store = store;
  }

  encode(message: GroupMessage): Uint8Array {
    const { key } = this;
    const fresh = this.#senders.next();
    // Without a key nothing is believed by its number, except that an own message has come back.
    if (key === undefined) return encodeGroupMessage(message, { boot: fresh.boot, count: fresh.count });
    return seal(key, this.#about, JSON.stringify({ ...message, ...fresh }));
  }

  /** @returns undefined if the message counts for nothing */
  decode(payload: Uint8Array): Said | undefined {
    if (payload.length > MAX_MESSAGE_BYTES) {
      this.ignored.note('malformed');
      return undefined;
    }
    const { key } = this;
    if (key === undefined) return this.#unsealed(payload);
    if (!isSealed(key, this.#about, payload)) {
      if (this.#isWithoutKeyYet(payload)) this.ignored.note('early');
      else this.ignored.note('unproved', () => heartbeatIn(payload));
      return undefined;
    }
    const value = parseJson(payload);
    const message = groupMessageOf(value);
    const fresh = freshnessOf(value);
    if (message === undefined || fresh === undefined) {
      // Another version may say what this one does not know.
      this.ignored.note('malformed');
      return undefined;
    }
    if (message.member === this.#options.holder) return this.#own(message, fresh);
    const standing = this.#senders.note(fresh, this.#options.clock.monotonicMs());
    if (standing === 'fresh') return { by: 'group', message };
    this.ignored.note(standing);
    return undefined;
  }

  /** The request of a member to the others, for `asked`. @param request a JSON object */
  ask(subject: string, request: object): Uint8Array {
    const { key } = this;
    if (key === undefined) return Buffer.from(JSON.stringify(request));
    return seal(key, [subject], JSON.stringify({ request, ...this.#senders.next() }));
  }

  /** @returns the request, if a member of the group has made it, and now; undefined otherwise */
  asked(subject: string, payload: Uint8Array): unknown {
    if (payload.length > MAX_REQUEST_BYTES) {
      this.ignored.note('malformed');
      return undefined;
    }
    const { key } = this;
    if (key === undefined) return parseJson(payload);
    if (!isSealed(key, [subject], payload)) {
      this.ignored.note('unproved');
      return undefined;
    }
    const value = parseJson(payload);
    const fresh = freshnessOf(value);
    if (!isObject(value) || fresh === undefined) {
      this.ignored.note('malformed');
      return undefined;
    }
    if (fresh.boot === this.#options.boot) return undefined;
    const standing = this.#senders.note(fresh, this.#options.clock.monotonicMs());
    if (standing === 'fresh') return value.request;
    this.ignored.note(standing);
    return undefined;
  }

  /** The answer to a request, with the proof that it is one to this very request. @param answer a JSON object */
  answer(subject: string, request: Uint8Array, answer: string): Uint8Array {
    const { key } = this;
    return key === undefined ? Buffer.from(answer) : seal(key, [subject, request], answer);
  }

  get #about(): readonly string[] {
    return [this.#options.subjects.talk];
  }

  /** Without a key. */
  #unsealed(payload: Uint8Array): Said | undefined {
    const value = parseJson(payload);
    const message = groupMessageOf(value);
    if (message === undefined) {
      this.ignored.note('malformed');
      return undefined;
    }
    if (message.member === this.#options.holder) {
      const { boot, count } = value as Partial<Freshness>;
      return isText(boot, MAX_CHALLENGE_LENGTH) && isCount(count)
        ? this.#own(message, { boot, count })
        : undefined;
    }
    if (this.#store !== undefined) return { by: 'group', message };
    return message.kind === 'heartbeat' ? { by: 'claim', heartbeat: message } : undefined;
  }

  /** Whether it may be by a member of this group that has not found the key yet, since the store has it for a moment only. */
  #isWithoutKeyYet(payload: Uint8Array): boolean {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#keyMs > NEW_KEY_MS) return false;
    const message = decodeGroupMessage(payload);
    if (message?.kind !== 'heartbeat') return message !== undefined;
    return message.storeId === '' || message.storeId === this.#store?.storeId;
  }

  #own(message: GroupMessage, fresh: Pick<Freshness, 'boot' | 'count'>): Said | undefined {
    if (this.#senders.own(fresh)) return { by: 'own', message };
    this.ignored.note('repeated');
    return undefined;
  }
}

function freshnessOf(value: unknown): Freshness | undefined {
  if (!isObject(value)) return undefined;
  const { boot, round, count, heard } = value;
  if (!isText(boot, MAX_CHALLENGE_LENGTH) || !isCount(round) || !isCount(count)) return undefined;
  return isListOf(heard, MAX_SENDERS, isChallenge) ? { boot, round, count, heard } : undefined;
}

function heartbeatIn(payload: Uint8Array): Heartbeat | undefined {
  const message = decodeGroupMessage(payload);
  return message?.kind === 'heartbeat' ? message : undefined;
}
