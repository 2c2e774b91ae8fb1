import type { Clock, Timer } from '../clock/clock.js';
import type { Logger } from '../log/logger.js';
import type { ControlConnection, ControlSubscription } from '../nats/control.js';
import type { NatsRefusal } from '../nats/refusal.js';
import type { StanSubjects } from '../protocol/subjects.js';
import type { Broker } from './broker.js';
import type { BrokerLink } from './broker-link.js';
import type { Probe, ProbedSubject } from './probe.js';

/** The broker's connections to NATS, as far as they are checked. */
export interface CheckedConnections {
  /** Undefined while it is not connected. */
  readonly control: ControlConnection | undefined;
  readonly link: CheckedLink | undefined;
  /** `host:port` */
  readonly server: string;
  /** Makes a new data link at the same server, with all subscriptions. */
  renewLink(why: string): void;
}

export interface CheckedLink extends BrokerLink {
  unsubscribe(sid: number): void;
}

export interface SelfCheckOptions {
  clock: Clock;
  log: Logger;
  connections: CheckedConnections;
  clusterId: string;
  subjects: StanSubjects;
  probe: Probe;
  /** Where subscribers acknowledge. */
  ackSubject: () => string;
  /** The broker that serves on the link now; undefined on a standby, and while nobody does. */
  serving: () => Broker | undefined;
  /** Called when `problem` has changed. */
  onChanged?: () => void;
}

/** What can be in the way of clients. A list, so that each has a series of its own from the start. */
export const SERVICE_PROBLEM_KINDS = ['wrong account', 'refused', 'not heard', 'other server'] as const;

/** Why clients are not served, or not as they should be. */
export interface ServiceProblem {
  readonly kind: (typeof SERVICE_PROBLEM_KINDS)[number];
  /** For people: what, where, what to do. */
  readonly text: string;
  /** It is this broker's, so that a standby may do better. */
  readonly isOwn: boolean;
}

/** Between two rounds of probes. */
const ROUND_MS = 1_000;
/** A round that took longer says nothing: this process stood still, and what has come in is not read yet. */
const LATE_MS = 500;
/** Rounds without an echo after which the link is made anew. */
const DEAF_ROUNDS = 2;
/** And after which that has not helped. */
const HOPELESS_ROUNDS = 4;
/** Rounds with the answer of another server before it is told: a predecessor may answer a last time. */
const OTHER_SERVER_ROUNDS = 3;
/** Links that are made anew in vain become rarer, up to so many rounds. */
const MAX_RENEWAL_ROUNDS = 60;
/** What a standby could subscribe to is tried so often, in rounds; and what was refused, so often. */
const TRIAL_ROUNDS = 10;
const RETRIAL_ROUNDS = 2;
/** A store that has not written for so many rounds is written to. */
const IDLE_ROUNDS = 5;
const SYSTEM_ANSWER_MS = 500;
/** Only who is logged in to the system account gets an answer. */
const SYSTEM_PING = '$SYS.REQ.SERVER.PING';
/** Under the subjects that are refused: there are too many subscriptions already. */
const LIMIT = '';

/**
 * Finds out whether clients are served, by being one: a serving broker sends itself probes through the NATS server, on each subject that
 * clients use, and has to hear them; a standby tries whether it may subscribe to those. What NATS refuses counts at once. A store on
 * which nothing happens is written to now and then. A problem decides health, and whether this broker may take over or keep a group.
 */
export class SelfCheck {
  readonly #options: SelfCheckOptions;
  readonly #inbox: string;
  #probed: readonly ProbedSubject[] = [];
  /** What is published to for trial: where acks of publishes go, and inboxes of clients. */
  readonly #said: readonly string[];
  #timer: Timer | undefined;
  #rounds = 0;
  #roundMs = 0;
  /** Of the round under way. */
  #link: CheckedLink | undefined;
  #broker: Broker | undefined;
  #control: ControlConnection | undefined;
  #answers: ControlSubscription | undefined;
  readonly #isHeard: boolean[] = [];
  readonly #missed: number[] = [];
  #isOtherHeard = false;
  #otherRounds = 0;
  #renewalRounds = 1;
  #renewAtRound = 0;
  /** By subject: what NATS has refused of what must be. */
  #refused = new Map<string, NatsRefusal>();
  /** In the trial under way. */
  #refusedAgain: Map<string, NatsRefusal> | undefined;
  /** It may not publish there, so that there is no echo. */
  readonly #unprobed = new Set<string>();
  #trialAtRound = 0;
  #trying: Promise<void> | undefined;
  #isSystemAccount = false;
  #committed = 0;
  #idleRounds = 0;
  #isJudging = false;
  #problem: ServiceProblem | undefined;

  constructor(options: SelfCheckOptions) {
    this.#options = options;
    const { name } = options.probe;
    this.#inbox = `_INBOX.stanchion-${name}`;
    this.#said = [`_STAN.acks.${name}`, `${this.#inbox}.trial`];
  }

  /** Undefined while clients can be served, as far as is known. */
  get problem(): ServiceProblem | undefined {
    return this.#problem;
  }

  /** Rounds begin. Resolves when it is known whether all that must be subscribed to may be, or there is no link. */
  async start(): Promise<void> {
    this.#probed = this.#options.probe.subjects(this.#options.subjects, this.#options.ackSubject());
    this.#schedule();
    this.#enterControl(this.#options.connections.control);
    await this.#try();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#leaveControl();
  }

  /** NATS has refused something, on either connection. */
  refused(refusal: NatsRefusal): void {
    const { operation, subject } = refusal;
    const probed = this.#probed.find(({ publishTo }) => publishTo === subject);
    if (operation === 'publish' && refusal.connection === 'control' && probed !== undefined) {
      this.#unprobed.add(probed.subscribed);
      return;
    }
    const isNeeded =
      operation === 'subscribe'
        ? this.#probed.some(({ subscribed }) => subscribed === subject)
        : operation === 'publish' && subject !== undefined && this.#said.includes(subject);
    const key = operation === 'subscription limit' ? LIMIT : isNeeded ? subject : undefined;
    if (key === undefined) return;
    this.#refused.set(key, refusal);
    this.#refusedAgain?.set(key, refusal);
    this.#trialAtRound = this.#rounds + RETRIAL_ROUNDS;
    // A trial judges at its end.
    if (this.#isJudging || this.#trying !== undefined) return;
    // Refusals come many at once.
    this.#isJudging = true;
    queueMicrotask(() => {
      this.#isJudging = false;
      if (this.#timer !== undefined) this.#judge();
    });
  }

  #schedule(): void {
    const { clock } = this.#options;
    this.#roundMs = clock.monotonicMs();
    this.#timer = clock.setTimer(ROUND_MS, () => {
      const tookMs = clock.monotonicMs() - this.#roundMs;
      this.#schedule();
      this.#round(tookMs <= ROUND_MS + LATE_MS);
    });
  }

  /** @param isInTime whether what has come in since the last one has been read */
  #round(isInTime: boolean): void {
    const { connections, serving, ackSubject, probe, subjects } = this.#options;
    const { link, control } = connections;
    const broker = serving();
    this.#rounds++;
    if (control !== this.#control) this.#enterControl(control);
    const isSame = link === this.#link && broker === this.#broker;
    if (!isSame) {
      this.#link = link;
      this.#broker = broker;
      this.#probed = probe.subjects(subjects, ackSubject());
      this.#missed.length = this.#otherRounds = 0;
      this.#trialAtRound = Math.min(this.#trialAtRound, this.#rounds + 1);
    } else if (isInTime && broker !== undefined && link?.isCongested === false) {
      this.#count();
    }
    if (link !== undefined && control !== undefined && broker !== undefined) this.#send(control, broker);
    if (link !== undefined && this.#rounds >= this.#trialAtRound) void this.#try();
    this.#judge();
    if (this.#missed.some((rounds) => rounds >= DEAF_ROUNDS))
      this.#renewLink('it does not hear what clients send');
  }

  /** What the round that ends has brought. */
  #count(): void {
    for (const [index, { subscribed }] of this.#probed.entries()) {
      const isHeard = this.#isHeard[index] === true || this.#unprobed.has(subscribed);
      this.#missed[index] = isHeard ? 0 : (this.#missed[index] ?? 0) + 1;
    }
    this.#otherRounds = this.#isOtherHeard ? this.#otherRounds + 1 : 0;
    if (this.#missed.every((rounds) => rounds === 0)) this.#renewalRounds = 1;
  }

  #send(control: ControlConnection, broker: Broker): void {
    this.#isHeard.length = 0;
    this.#isOtherHeard = false;
    for (const [index, { subscribed, publishTo, payload }] of this.#probed.entries()) {
      if (this.#unprobed.has(subscribed)) continue;
      control.publish(publishTo, payload, { reply: `${this.#inbox}.${index}` });
    }
    const { store } = broker;
    this.#idleRounds = store.committed === this.#committed ? this.#idleRounds + 1 : 0;
    this.#committed = store.committed;
    if (this.#idleRounds >= IDLE_ROUNDS) {
      this.#idleRounds = 0;
      store.touch();
    }
  }

  #onAnswer(subject: string, data: Uint8Array): void {
    const index = Number(subject.slice(this.#inbox.length + 1));
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    if (this.#options.probe.isIn(bytes, 0, bytes.length)) this.#isHeard[index] = true;
    // No answer comes with an empty payload: nobody listens.
    else if (bytes.length > 0) this.#isOtherHeard = true;
  }

  #enterControl(control: ControlConnection | undefined): void {
    this.#leaveControl();
    this.#control = control;
    this.#unprobed.clear();
    this.#isSystemAccount = false;
    // Rounds before it had no way back.
    this.#missed.length = 0;
    if (control === undefined) return;
    this.#answers = control.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#onAnswer(message.subject, message.data);
      },
    });
    void this.#lookAtAccount(control);
  }

  #leaveControl(): void {
    const answers = this.#answers;
    this.#answers = undefined;
    if (this.#control?.isClosed() === false) answers?.unsubscribe();
  }

  /** In the system account all is well, but for the clients: they are in others. */
  async #lookAtAccount(control: ControlConnection): Promise<void> {
    try {
      const answer = await control.request(SYSTEM_PING, undefined, { timeout: SYSTEM_ANSWER_MS });
      if (answer.data.length === 0 || control !== this.#control) return;
    } catch {
      return;
    }
    this.#isSystemAccount = true;
    this.#judge();
  }

  /** Whether it may subscribe and publish where it must: what was refused may be permitted by now. */
  #try(): Promise<void> {
    this.#trying ??= this.#tryOn(this.#options.connections.link).finally(() => {
      this.#trying = undefined;
    });
    return this.#trying;
  }

  async #tryOn(link: CheckedLink | undefined): Promise<void> {
    this.#trialAtRound = this.#rounds + TRIAL_ROUNDS;
    const isServing = this.#options.serving() !== undefined;
    const wasRefused = this.#refused.size > 0;
    // A serving broker that was refused nothing has its subscriptions, and hears itself on them.
    if (link === undefined || (isServing && !wasRefused)) return;
    const refusedAgain = new Map<string, NatsRefusal>();
    this.#refusedAgain = refusedAgain;
    const sids = this.#probed.map(({ subscribed }) => link.subscribe(subscribed));
    const out = link.takeBuffer();
    for (const subject of this.#said) {
      const name = Buffer.from(subject);
      out.pub(name, 0, name.length, 0);
      out.crlf();
    }
    link.send(out);
    try {
      await link.flush();
    } catch {
      // The link is down: nothing is known to be better.
      return;
    } finally {
      this.#refusedAgain = undefined;
      for (const sid of sids) link.unsubscribe(sid);
    }
    this.#refused = refusedAgain;
    if (this.#refused.size > 0) this.#trialAtRound = this.#rounds + RETRIAL_ROUNDS;
    else if (wasRefused && this.#options.serving() !== undefined) {
      // The subscriptions that were refused are missing still.
      this.#options.connections.renewLink('NATS permits again what it had refused');
    }
    this.#judge();
  }

  #renewLink(why: string): void {
    if (this.#rounds < this.#renewAtRound || this.#refused.size > 0) return;
    this.#renewAtRound = this.#rounds + this.#renewalRounds;
    this.#renewalRounds = Math.min(MAX_RENEWAL_ROUNDS, this.#renewalRounds * 4);
    this.#options.connections.renewLink(why);
  }

  #judge(): void {
    const { log, onChanged } = this.#options;
    const former = this.#problem;
    const problem = this.#find();
    this.#problem = problem;
    if (problem?.text === former?.text && problem?.isOwn === former?.isOwn) return;
    if (problem === undefined) log.info({}, 'clients are heard through NATS again');
    else if (problem.text !== former?.text) log.error({ problem: problem.kind }, problem.text);
    onChanged?.();
  }

  #find(): ServiceProblem | undefined {
    const { connections, clusterId } = this.#options;
    const { server } = connections;
    if (this.#isSystemAccount) {
      return {
        kind: 'wrong account',
        isOwn: true,
        text:
          `no client can be heard: the NATS server at ${server} has logged this broker in to its system account, where clients are not. ` +
          'Give it a user of the account that clients use',
      };
    }
    if (this.#refused.size > 0)
      return { kind: 'refused', isOwn: true, text: refusedText(this.#refused, server) };
    const deaf = this.#probed.filter((_, index) => (this.#missed[index] ?? 0) >= DEAF_ROUNDS);
    if (deaf.length > 0) {
      const isHopeless = this.#missed.some((rounds) => rounds >= HOPELESS_ROUNDS);
      const subjects = deaf.map(({ subscribed }) => subscribed).join(', ');
      return {
        kind: 'not heard',
        isOwn: isHopeless,
        text:
          `clients may not be heard: what this broker sends to itself through the NATS server at ${server} does not come back on ${subjects}. ` +
          'Look at what is between the two, and at the permissions and imports of its user in NATS',
      };
    }
    if (this.#otherRounds >= OTHER_SERVER_ROUNDS) {
      return {
        kind: 'other server',
        isOwn: false,
        text:
          `another streaming server answers for cluster id "${clusterId}" on the NATS servers of ${server}: clients hear both, and both store what ` +
          'is published, each with sequences of its own. Stop one of them, or give it another cluster id',
      };
    }
    return undefined;
  }
}

function refusedText(refused: ReadonlyMap<string, NatsRefusal>, server: string): string {
  const all = [...refused.values()];
  const what = (['subscribe', 'publish'] as const).flatMap((operation) => {
    const subjects = all
      .filter((refusal) => refusal.operation === operation)
      .map(({ subject }) => `"${subject}"`);
    return subjects.length === 0 ? [] : [`${operation} to ${subjects.join(', ')}`];
  });
  const limit = refused.get(LIMIT);
  if (limit !== undefined) what.push(`have more subscriptions (${limit.text})`);
  return (
    `clients are not served: the NATS server at ${server} does not let this broker ${what.join(', nor ')}. ` +
    'Give the user of the brokers the permissions of docs/install.md, and its account room for subscriptions'
  );
}
