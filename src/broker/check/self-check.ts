import type { Clock, Timer } from '../../clock/clock.js';
import type { Logger } from '../../log/logger.js';
import type { ControlSubscription } from '../../nats/control-connection.js';
import type { NatsRefusal } from '../../nats/refusal.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import type { CheckedBroker, CheckedConnections, CheckedControl, CheckedLink } from './checked.js';
import { LinkWatch } from './link-watch.js';
import type { Probe, ProbedSubject } from './probe.js';
import { ServicePermissions } from './service-permissions.js';
import {
  importedAcksRefused,
  notHeard,
  otherServerProblem,
  refusedProblem,
  type ServiceProblem,
  wrongAccount,
} from './service-problem.js';

export interface SelfCheckOptions {
  clock: Clock;
  log: Logger;
  connections: CheckedConnections;
  clusterId: string;
  subjects: StanSubjects;
  probe: Probe;
  /** Where subscribers acknowledge. */
  ackSubject: () => string;
  /** The broker that serves on the link now; undefined on a standby, and while none does. */
  serving: () => CheckedBroker | undefined;
  /** Called when `problem` has changed. */
  onChanged?: () => void;
  /** Gets what something that nothing waits for has thrown, and nothing expects. */
  onBroken: (thrown: unknown) => void;
}

/** Between two rounds of probes, at least. */
const ROUND_MS = 1_000;
/** Rounds without an echo after which the link is made anew. */
const DEAF_ROUNDS = 2;
/** And after which that has not helped. */
const HOPELESS_ROUNDS = 4;
/** What was not heard while it served counts against a standby for so many rounds; each time twice as long, up to the longest. */
const FIRST_MEMORY_ROUNDS = 30;
const MAX_MEMORY_ROUNDS = 600;
/** Rounds with the answer of another server before it is reported: a predecessor may answer a last time. */
const OTHER_SERVER_ROUNDS = 3;
/** From one renewal to the next: links that are made anew in vain become rarer. */
const FIRST_RENEWAL_ROUNDS = 5;
const MAX_RENEWAL_ROUNDS = 60;
/** A store that has not written for so many rounds is written to. */
const IDLE_ROUNDS = 5;
const SYSTEM_ANSWER_MS = 500;
/** Only a connection of the system account gets an answer. (`$SYS.REQ.SERVER.PING` alone is imported by other accounts, too.) */
const SYSTEM_PING = '$SYS.REQ.SERVER.PING.VARZ';
/** Probes that are under way, on these connections. */
interface Round {
  readonly link: CheckedLink;
  readonly control: CheckedControl;
  readonly broker: CheckedBroker;
  /** Whatever comes back has come back. */
  isOver: boolean;
  /** It says nothing: a connection was lost on the way. */
  hasFailed: boolean;
}

/**
 * Finds out whether clients are served, by being one: a serving broker sends itself probes through the NATS server, on each subject that
 * clients use, and has to hear them; a standby tries whether it may subscribe to those. What NATS refuses counts at once. A store on
 * which nothing happens is written to now and then. A problem decides health, and whether this broker may take over or keep a group.
 */
export class SelfCheck {
  readonly #options: SelfCheckOptions;
  readonly #inbox: string;
  readonly #permissions: ServicePermissions;
  readonly #watch: LinkWatch;
  #probed: readonly ProbedSubject[] = [];
  #timer: Timer | undefined;
  #rounds = 0;
  #round: Round | undefined;
  /** That the last round was of. Not kept: a store is behind it. */
  #probedBroker: WeakRef<CheckedBroker> | undefined;
  #link: CheckedLink | undefined;
  #control: CheckedControl | undefined;
  #answers: ControlSubscription | undefined;
  readonly #isHeard: boolean[] = [];
  readonly #missed: number[] = [];
  #isOtherHeard = false;
  #otherRounds = 0;
  #forgetAtRound = 0;
  #memoryRounds = FIRST_MEMORY_ROUNDS;
  #renewalRounds = FIRST_RENEWAL_ROUNDS;
  #renewAtRound = 0;
  /** It may not publish there, so that there is no echo. */
  readonly #unprobed = new Set<string>();
  #isSystemAccount = false;
  #committed = 0;
  #idleRounds = 0;
  #isJudging = false;
  #problem: ServiceProblem | undefined;

  constructor(options: SelfCheckOptions) {
    this.#options = options;
    const { name } = options.probe;
    this.#inbox = `_INBOX.stanchion-${name}`;
    this.#permissions = new ServicePermissions({
      connections: options.connections,
      probed: () => this.#probed,
      isServing: () => options.serving() !== undefined,
      isImportedAckInbox: (subject) => options.serving()?.importedAckInboxes.has(subject),
      inbox: this.#inbox,
      probeName: name,
      onTried: () => this.#judge(),
    });
    this.#watch = new LinkWatch({
      clock: options.clock,
      connections: options.connections,
      mark: (mark) => this.#mark(mark),
      onChanged: () => this.#judge(),
    });
    options.probe.onHeard = (reply) => this.#watch.marked(reply.slice(this.#inbox.length + 1));
  }

  /** Sends a probe to where acks come, past the rounds. */
  #mark(name: string): void {
    const acks = this.#options.ackSubject();
    const probed = this.#probed.find(({ subscribed }) => subscribed === acks);
    if (probed === undefined || this.#unprobed.has(acks)) return;
    const { control } = this.#options.connections;
    control?.publish(probed.publishTo, probed.payload, { reply: `${this.#inbox}.${name}` });
  }

  /** Undefined while clients can be served, as far as is known. */
  get problem(): ServiceProblem | undefined {
    return this.#problem;
  }

  /** Rounds begin. Resolves when it is known whether all that must be subscribed to may be, or there is no link. */
  async start(): Promise<void> {
    this.#probed = this.#options.probe.subjects(this.#options.subjects, this.#options.ackSubject());
    this.#schedule();
    this.#watch.start();
    this.#enterControl(this.#options.connections.control);
    await this.#permissions.try();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watch.stop();
    this.#permissions.stop();
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
    if (!this.#permissions.refused(refusal)) return;
    // A trial judges at its end.
    if (this.#isJudging || this.#permissions.isTrying) return;
    // Refusals come many at once.
    this.#isJudging = true;
    queueMicrotask(() => {
      this.#isJudging = false;
      if (this.#timer !== undefined) this.#judge();
    });
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(ROUND_MS, () => {
      this.#schedule();
      this.#begin();
    });
  }

  /** A broker that is about to end hears no client any more. */
  get #serving(): CheckedBroker | undefined {
    const broker = this.#options.serving();
    return broker?.isDraining === true ? undefined : broker;
  }

  /** It is time for a round, unless the last one is under way. */
  #begin(): void {
    const { connections, ackSubject, probe, subjects } = this.#options;
    const { link, control } = connections;
    const broker = this.#serving;
    this.#rounds++;
    this.#permissions.nextRound();
    if (control !== this.#control) this.#enterControl(control);
    if (link !== this.#link) {
      this.#link = link;
      this.#permissions.linkChanged();
    }
    const round = this.#round;
    const isSame = round?.link === link && round?.control === control && round?.broker === broker;
    // A round that takes long says nothing: `LinkWatch` finds out whether a connection is dead.
    const isUnderWay = round !== undefined && isSame && !round.isOver && !round.hasFailed;
    if (!isUnderWay) {
      if (round?.isOver === true && isSame) this.#count();
      this.#round = undefined;
      if (broker === undefined) this.#serveNot();
      else if (link !== undefined && control !== undefined) {
        if (broker !== this.#probedBroker?.deref()) this.#missed.length = this.#otherRounds = 0;
        this.#probedBroker = new WeakRef(broker);
        this.#forgetAtRound = 0;
        this.#probed = probe.subjects(subjects, ackSubject());
        this.#send(link, control, broker);
      }
    }
    if (broker !== undefined) this.#touch(broker);
    if (link !== undefined && this.#permissions.isTrialDue)
      this.#permissions.try().catch(this.#options.onBroken);
    this.#judge();
  }

  /** What was not heard while it served stays known for a while: else it would be given the group again at once. */
  #serveNot(): void {
    this.#otherRounds = 0;
    // A standby tries what it could subscribe to, and nothing else.
    if (this.#missed.length === 0) this.#forgetAtRound = 0;
    else if (this.#missed.every((rounds) => rounds < DEAF_ROUNDS)) this.#missed.length = 0;
    else if (this.#forgetAtRound === 0) {
      this.#forgetAtRound = this.#rounds + this.#memoryRounds;
      this.#memoryRounds = Math.min(MAX_MEMORY_ROUNDS, this.#memoryRounds * 2);
    } else if (this.#rounds >= this.#forgetAtRound) {
      this.#missed.length = this.#forgetAtRound = 0;
    }
  }

  /** What the round that is over has brought. */
  #count(): void {
    if (this.#permissions.refusals.size > 0) {
      // It is known why.
      this.#missed.length = this.#otherRounds = 0;
      return;
    }
    for (const [index, { subscribed }] of this.#probed.entries()) {
      const isHeard = this.#isHeard[index] === true || this.#unprobed.has(subscribed);
      this.#missed[index] = isHeard ? 0 : (this.#missed[index] ?? 0) + 1;
    }
    this.#otherRounds = this.#isOtherHeard ? this.#otherRounds + 1 : 0;
    if (this.#missed.every((rounds) => rounds === 0)) {
      this.#renewalRounds = FIRST_RENEWAL_ROUNDS;
      this.#memoryRounds = FIRST_MEMORY_ROUNDS;
    } else if (this.#missed.some((rounds) => rounds >= DEAF_ROUNDS)) {
      this.#judge();
      this.#renewLink('it does not hear what clients send');
    }
  }

  #send(link: CheckedLink, control: CheckedControl, broker: CheckedBroker): void {
    this.#isHeard.length = 0;
    this.#isOtherHeard = false;
    const round: Round = { link, control, broker, isOver: false, hasFailed: false };
    this.#round = round;
    this.#permissions.say(link);
    for (const [index, { subscribed, publishTo, payload }] of this.#probed.entries()) {
      if (this.#unprobed.has(subscribed)) continue;
      control.publish(publishTo, payload, { reply: `${this.#inbox}.${index}` });
    }
    follow(round).catch(() => {
      round.hasFailed = true;
    });
  }

  #touch({ store }: CheckedBroker): void {
    this.#idleRounds = store.committed === this.#committed ? this.#idleRounds + 1 : 0;
    this.#committed = store.committed;
    if (this.#idleRounds < IDLE_ROUNDS) return;
    this.#idleRounds = 0;
    store.touch();
  }

  #onAnswer(subject: string, data: Uint8Array): void {
    const index = Number(subject.slice(this.#inbox.length + 1));
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    if (this.#options.probe.isIn(bytes, 0, bytes.length)) this.#isHeard[index] = true;
    // No answer comes with an empty payload: no broker listens.
    else if (bytes.length > 0) this.#isOtherHeard = true;
  }

  #enterControl(control: CheckedControl | undefined): void {
    this.#leaveControl();
    this.#control = control;
    this.#unprobed.clear();
    if (control === undefined) return;
    this.#answers = control.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#onAnswer(message.subject, message.data);
      },
    });
    this.#lookAtAccount(control).catch(this.#options.onBroken);
  }

  #leaveControl(): void {
    const answers = this.#answers;
    this.#answers = undefined;
    if (this.#control?.isClosed() === false) answers?.unsubscribe();
  }

  /** In the system account all is well, but for the clients: they are in others. */
  async #lookAtAccount(control: CheckedControl): Promise<void> {
    const isAnswered = await control.request(SYSTEM_PING, undefined, { timeout: SYSTEM_ANSWER_MS }).then(
      ({ data }) => data.length > 0,
      () => false,
    );
    if (control !== this.#control || control.isClosed() || isAnswered === this.#isSystemAccount) return;
    this.#isSystemAccount = isAnswered;
    this.#judge();
  }

  #renewLink(why: string): void {
    if (this.#rounds < this.#renewAtRound || this.#permissions.refusals.size > 0) return;
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
    if (problem === undefined) {
      const isHeard = this.#serving !== undefined;
      log.info(
        {},
        isHeard ? 'clients are heard through NATS again' : 'clients could be heard through NATS again',
      );
    } else if (problem.text !== former?.text) log.error({ problem: problem.kind }, problem.text);
    onChanged?.();
  }

  #find(): ServiceProblem | undefined {
    const { connections, clusterId, serving } = this.#options;
    const { server } = connections;
    if (this.#isSystemAccount) return wrongAccount(server);
    if (this.#permissions.refusals.size > 0)
      return refusedProblem(this.#permissions.refusals.values(), server);
    const stuck = this.#watch.problem;
    if (stuck !== undefined) return { kind: 'not heard', isOwn: true, text: stuck };
    const deaf = this.#probed.filter((_, index) => (this.#missed[index] ?? 0) >= DEAF_ROUNDS);
    if (deaf.length > 0) {
      const subjects = deaf.map(({ subscribed }) => subscribed);
      const isHopeless = this.#missed.some((rounds) => rounds >= HOPELESS_ROUNDS);
      return notHeard(subjects, server, { isServing: serving() !== undefined, isHopeless });
    }
    if (this.#otherRounds >= OTHER_SERVER_ROUNDS) return otherServerProblem(clusterId, server);
    return this.#permissions.lacksImportedAcks ? importedAcksRefused(server) : undefined;
  }
}

/** Each connection keeps what it carries in order, so that the answer to a ping comes behind what was sent before it. */
async function follow(round: Round): Promise<void> {
  const { link, control } = round;
  await control.flush();
  // The probes have come in; then, NATS has what was answered; then, that has come back.
  await link.flush();
  await link.flush();
  await control.flush();
  round.isOver = true;
}
