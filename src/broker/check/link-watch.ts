import type { Clock, Timer } from '../../clock/clock.js';
import type { CheckedConnections, CheckedControl, CheckedLink } from './checked.js';

type Link = Pick<CheckedLink, 'pulse' | 'receivedBytes'>;
type Control = Pick<CheckedControl, 'flush'>;

/** Both connections, as far as they are watched. */
export type WatchedConnections = Pick<
  CheckedConnections,
  'server' | 'renewLink' | 'renewControl' | 'doubtServer'
> & { readonly control: Control | undefined; readonly link: Link | undefined };

const TICK_MS = 250;
/** A PING of the link that has waited so long is looked into. */
const LATE_MS = 750;
/** A link whose server answers on the other connection, and not here, is dead after this time. */
const DEAD_MS = 1_250;
/** A server that goes on after a pause answers on one connection before the other: the link has so long for its answer. */
const SECOND_ANSWER_MS = TICK_MS;
/** For each byte beyond this many that the server has to read first, it has a millisecond per `BYTES_PER_MS` more. */
const FREE_BYTES = 1024 * 1024;
const BYTES_PER_MS = 1024;
/** What a slow link carries at least, either way: 64 KB a second. One that carries less is of no use to clients. */
const MIN_BYTES_PER_MS = 64;
/** The control connection has a ping unanswered for so many ticks, while the link is answered. */
const CONTROL_DEAD_TICKS = 7;
/** From one attempt to replace the control connection to the next, and from one doubt about the server to the next. */
const PAUSE_TICKS = 20;
/** So many dead links within this time are a problem of the way to the server, which another member may not have. */
const PROBLEM_COUNT = 3;
const PROBLEM_MS = 60_000;

export interface LinkWatchOptions {
  clock: Clock;
  connections: WatchedConnections;
  /** Publishes a probe on the control connection that comes in on the link, if a broker serves there. */
  mark: (name: string) => void;
  /** Called when `problem` may have changed. */
  onChanged: () => void;
}

/** A look into a link that answers late. */
interface Trial {
  readonly link: Link;
  readonly control: Control;
  readonly name: string;
  readonly sinceMs: number;
  readonly receivedBytes: number;
  readonly answeredBytes: number;
  /** When the server has answered on the control connection, behind the mark. */
  controlAnsweredMs: number | undefined;
  /** The mark has come in on the link. */
  isMarked: boolean;
}

/**
 * Finds a connection that looks well and has stopped carrying one way or both, by asking the server over the other one. Alive is what
 * answers: bytes that come in prove one direction only.
 *
 * NATS keeps the order of each connection. So if a message that was sent to the link behind its PING has come in, and the PONG has not,
 * the PONG is in no queue: the PING has not arrived. If neither comes in, the way in is stuck, or its queue is long: then many bytes come.
 * A server that answers on neither connection may only be slow: then a third one shows whether it is there.
 */
export class LinkWatch {
  readonly #options: LinkWatchOptions;
  #timer: Timer | undefined;
  #trial: Trial | undefined;
  #trials = 0;
  #control: Control | undefined;
  /** Ticks that the ping of the control connection has waited, while the link was answered. */
  #controlTicks = 0;
  #isAsking = false;
  /** So many ticks no other attempt to replace the control connection is made, and no other doubt raised. */
  #renewalPause = 0;
  #doubtPause = 0;
  /** When links were found dead, lately. */
  #deaths: number[] = [];

  constructor(options: LinkWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.setTimer(TICK_MS, () => {
      this.start();
      this.#tick();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The probe with this name has come in on the link. */
  marked(name: string): void {
    if (this.#trial?.name === name) this.#trial.isMarked = true;
  }

  /** For people, while links at this server die one after the other. */
  get problem(): string | undefined {
    const { clock, connections } = this.#options;
    const sinceMs = clock.monotonicMs() - PROBLEM_MS;
    const count = this.#deaths.filter((atMs) => atMs > sinceMs).length;
    if (count < PROBLEM_COUNT) return undefined;
    return (
      `clients may not be heard: ${count} data links to the NATS server at ${connections.server} have stopped carrying what is sent within ` +
      `the last ${PROBLEM_MS / 1_000} s. Look at what is between the two: a proxy, a load balancer, a firewall`
    );
  }

  #tick(): void {
    const { connections } = this.#options;
    const { link, control } = connections;
    if (this.#renewalPause > 0) this.#renewalPause--;
    if (this.#doubtPause > 0) this.#doubtPause--;
    if (this.#deaths.length > 0) this.#options.onChanged();
    if (control !== undefined) this.#ask(control);
    if (link === undefined || control === undefined) {
      this.#trial = undefined;
      return;
    }
    const { lateMs } = link.pulse;
    if (lateMs < LATE_MS) {
      this.#trial = undefined;
      if (this.#controlTicks >= CONTROL_DEAD_TICKS && this.#renewalPause === 0) {
        this.#renewalPause = PAUSE_TICKS;
        connections.renewControl(
          `the NATS server has not answered on it for ${this.#controlTicks * TICK_MS} ms, though it answers on the data link`,
        );
      }
      return;
    }
    // The server may be slow on both, and the link the first to be answered again.
    this.#controlTicks = 0;
    const trial = this.#trial;
    if (trial === undefined || trial.link !== link || trial.control !== control) this.#begin(link, control);
    else this.#judge(trial, lateMs);
  }

  /** Keeps one ping under way on the control connection. */
  #ask(control: Control): void {
    if (control !== this.#control) {
      this.#control = control;
      this.#isAsking = false;
    }
    if (this.#isAsking) {
      this.#controlTicks++;
      return;
    }
    this.#isAsking = true;
    this.#controlTicks = 0;
    const over = (): void => {
      if (control === this.#control) this.#isAsking = false;
    };
    control.flush().then(over, over);
  }

  #begin(link: Link, control: Control): void {
    const name = `late-${++this.#trials}`;
    const trial: Trial = {
      ...{ link, control, name, sinceMs: this.#options.clock.monotonicMs() },
      ...{ receivedBytes: link.receivedBytes, answeredBytes: link.pulse.answeredBytes },
      ...{ controlAnsweredMs: undefined, isMarked: false },
    };
    this.#trial = trial;
    this.#options.mark(name);
    control.flush().then(
      () => {
        trial.controlAnsweredMs = this.#options.clock.monotonicMs();
      },
      () => {},
    );
  }

  #judge(trial: Trial, lateMs: number): void {
    const { clock, connections } = this.#options;
    const { link } = trial;
    const { owedBytes, answeredBytes } = link.pulse;
    if (lateMs < DEAD_MS + Math.max(0, owedBytes - FREE_BYTES) / BYTES_PER_MS) return;
    const late = `the NATS server has not answered a ping on it for ${Math.round(lateMs)} ms`;
    if (trial.controlAnsweredMs === undefined) {
      if (this.#doubtPause > 0) return;
      this.#doubtPause = PAUSE_TICKS;
      connections.doubtServer?.();
      return;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - trial.controlAnsweredMs < SECOND_ANSWER_MS) return;
    const ageMs = nowMs - trial.sinceMs;
    const isBusy = (bytes: number): boolean => bytes >= ageMs * MIN_BYTES_PER_MS;
    const isReading = isBusy(answeredBytes - trial.answeredBytes);
    const isSending = !trial.isMarked && isBusy(link.receivedBytes - trial.receivedBytes);
    this.#trial = undefined;
    // Much is under way, and what is late may be behind it. Another trial sees whether that goes on.
    if (isReading || isSending) return;
    this.#deaths = [...this.#deaths.filter((atMs) => atMs > nowMs - PROBLEM_MS), nowMs].slice(-PROBLEM_COUNT);
    const which = trial.isMarked ? 'what is sent there does not arrive' : 'it has stopped carrying';
    connections.renewLink(`${which}: ${late}, though it answers on the control connection`);
  }
}
