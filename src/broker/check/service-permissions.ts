import type { NatsRefusal } from '../../nats/refusal.js';
import type { CheckedConnections, CheckedControl, CheckedLink } from './checked.js';
import type { ProbedSubject } from './probe.js';

/** Rounds between two trials of what a standby could subscribe to; and between two of what was refused. */
const TRIAL_ROUNDS = 10;
const RETRIAL_ROUNDS = 2;
/** Imported ack inboxes that are tried at once. There may be many thousand, and most often one permission is for all of them. */
const MAX_TRIED_ACKS = 100;
/** Under the subjects that are refused: there are too many subscriptions already. */
const LIMIT = '';
/** Where answers to the broker come, to subjects of many names. */
const INBOXES = '_INBOX.>';

export interface ServicePermissionsOptions {
  connections: CheckedConnections;
  /** The subjects that clients use. */
  probed: () => readonly ProbedSubject[];
  /** Whether a broker serves on the link. */
  isServing: () => boolean;
  /** Whether the broker that serves listens on this subject for acks of a subscription that came along with an import; undefined if none serves yet. */
  isImportedAckInbox: (subject: string) => boolean | undefined;
  /** Where answers to probes come, without the last token. */
  inbox: string;
  /** The probe's: a subject of acks with this name is published to for trial. */
  probeName: string;
  /** A trial has ended: what is refused may have changed. */
  onTried: () => void;
}

/**
 * Whether NATS lets this broker subscribe and publish as clients need it. A refusal counts at once, and until a trial finds that it is
 * over.
 */
export class ServicePermissions {
  readonly #options: ServicePermissionsOptions;
  /** What is published to for trial: where acks of publishes go, and inboxes of clients. */
  readonly #said: readonly string[];
  /** By subject. */
  #refused = new Map<string, NatsRefusal>();
  /** Ack inboxes of imported subscriptions that it may not listen on. All else works without them. Before the broker serves, other subjects may be among them. */
  #refusedAcks = new Set<string>();
  /** In the trial under way. */
  #refusedAcksAgain: Set<string> | undefined;
  /** In the trial under way. */
  #refusedAgain: Map<string, NatsRefusal> | undefined;
  /** Connections on which a subscription is missing, since it was refused. */
  #lackingLink: CheckedLink | undefined;
  #lackingControl: CheckedControl | undefined;
  #round = 0;
  #trialAtRound = 0;
  #trying: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: ServicePermissionsOptions) {
    this.#options = options;
    this.#said = [`_STAN.acks.${options.probeName}`, `${options.inbox}.trial`];
  }

  /** What clients need and NATS has refused. */
  get refusals(): ReadonlyMap<string, NatsRefusal> {
    return this.#refused;
  }

  /** Acks of subscriptions that came along with an import are not heard, since NATS has refused it. */
  get lacksImportedAcks(): boolean {
    for (const subject of this.#refusedAcks) {
      const isLacking = this.#options.isImportedAckInbox(subject);
      if (isLacking !== false) return isLacking === true;
      this.#refusedAcks.delete(subject);
    }
    return false;
  }

  get isTrying(): boolean {
    return this.#trying !== undefined;
  }

  stop(): void {
    this.#isStopped = true;
  }

  nextRound(): void {
    this.#round++;
  }

  /** The link is another one: what it may is tried soon. */
  linkChanged(): void {
    this.#trialAtRound = Math.min(this.#trialAtRound, this.#round + 1);
  }

  /** It is time for another trial. */
  get isTrialDue(): boolean {
    return this.#round >= this.#trialAtRound;
  }

  /** @returns whether the refusal is in the way of clients */
  refused(refusal: NatsRefusal): boolean {
    const key = this.#keyOf(refusal);
    if (key === undefined) return this.#importedAckRefused(refusal);
    const named = key === INBOXES ? { ...refusal, subject: INBOXES } : refusal;
    this.#refused.set(key, named);
    this.#refusedAgain?.set(key, named);
    if (refusal.operation !== 'publish') {
      const { connections } = this.#options;
      if (refusal.connection === 'control') this.#lackingControl = connections.control;
      else this.#lackingLink = connections.link;
    }
    this.#trialAtRound = this.#round + RETRIAL_ROUNDS;
    return true;
  }

  #importedAckRefused({ connection, operation, subject }: NatsRefusal): boolean {
    if (connection === 'control' || operation !== 'subscribe' || subject === undefined) return false;
    if (this.#options.isImportedAckInbox(subject) === false) return false;
    this.#refusedAcks.add(subject);
    this.#refusedAcksAgain?.add(subject);
    this.#lackingLink = this.#options.connections.link;
    this.#trialAtRound = this.#round + RETRIAL_ROUNDS;
    return true;
  }

  /** Whether it may subscribe and publish where it must: what was refused may be permitted by now. */
  try(): Promise<void> {
    const { link, control } = this.#options.connections;
    this.#trying ??= this.#tryOn(link, control).finally(() => {
      this.#trying = undefined;
    });
    return this.#trying;
  }

  /** NATS says what it may not publish to. */
  say(link: CheckedLink): void {
    const out = link.takeBuffer();
    for (const subject of this.#said) {
      const name = Buffer.from(subject);
      out.pub(name, 0, name.length, 0);
      out.crlf();
    }
    link.send(out);
  }

  async #tryOn(link: CheckedLink | undefined, control: CheckedControl | undefined): Promise<void> {
    const { isServing, connections, probed, inbox, onTried } = this.#options;
    this.#trialAtRound = this.#round + TRIAL_ROUNDS;
    const wasRefused = this.#refused.size > 0 || this.lacksImportedAcks;
    // A serving broker that was refused nothing has its subscriptions, and hears itself on them.
    if (link === undefined || control === undefined || (isServing() && !wasRefused)) return;
    const refusedAgain = new Map<string, NatsRefusal>();
    this.#refusedAgain = refusedAgain;
    // Each is given up at once: the broker has its own, and there may be no room for all of them twice.
    for (const { subscribed } of probed()) link.unsubscribe(link.subscribe(subscribed));
    const acksBefore = [...this.#refusedAcks];
    const acksAgain = new Set<string>();
    this.#refusedAcksAgain = acksAgain;
    for (const subject of acksBefore.slice(0, MAX_TRIED_ACKS)) link.unsubscribe(link.subscribe(subject));
    control.subscribe(`${inbox}.*`, { callback: () => {} }).unsubscribe();
    this.say(link);
    try {
      await Promise.all([link.flush(), control.flush()]);
    } catch {
      // A connection is down: nothing is known to be better.
      return;
    } finally {
      this.#refusedAgain = this.#refusedAcksAgain = undefined;
    }
    if (this.#isStopped) return;
    this.#refused = refusedAgain;
    // What was not tried is permitted if all that was tried is.
    if (acksAgain.size > 0) for (const subject of acksBefore.slice(MAX_TRIED_ACKS)) acksAgain.add(subject);
    this.#refusedAcks = acksAgain;
    if (this.#refused.size > 0 || this.lacksImportedAcks) this.#trialAtRound = this.#round + RETRIAL_ROUNDS;
    else {
      // The subscriptions that were refused are missing still, unless there is another connection since.
      const why = 'NATS permits again what it had refused';
      if (this.#lackingControl === control) connections.renewControl(why);
      if (this.#lackingLink === link && isServing()) connections.renewLink(why);
      this.#lackingControl = this.#lackingLink = undefined;
    }
    onTried();
  }

  /** By which a refusal is kept, if it is in the way of clients. */
  #keyOf({ connection, operation, subject }: NatsRefusal): string | undefined {
    if (operation === 'subscription limit') return LIMIT;
    if (operation === 'publish') return this.#said.find((said) => said === subject);
    if (operation !== 'subscribe') return undefined;
    if (connection === 'control') return subject?.startsWith('_INBOX.') === true ? INBOXES : undefined;
    return this.#options.probed().find(({ subscribed }) => subscribed === subject)?.subscribed;
  }
}
