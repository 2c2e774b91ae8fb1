import { type BelievedTime, CLOCK_TOLERANCE_MS, nanoseconds, seconds } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import { encodeTimestamp, MAX_TIMESTAMP_SIZE } from '../../protocol/msgproto.js';

/**
 * The store's own time has moved on from `fromMs` to `toMs` though that time did not pass: what is stored under a time before `fromMs`
 * is younger by as much than it seems. What is stored under one between the two was stored before the end of it.
 */
export interface TimeGap {
  fromMs: number;
  toMs: number;
}

/** What a checkpoint keeps of the store's time where it is not that of the clock. */
export interface SavedTime {
  /** How far the store's own time is ahead of the machine's clock, believed or not; behind it if negative. */
  leadMs: number;
  gaps: TimeGap[];
}

/** A store's own time, carried on since another broker announced it. */
export interface ContinuedTime {
  ns: bigint;
  /** How far it is ahead of the clock of the broker that announced it. */
  leadMs: number;
}

/** What is known of the time when a store is opened. Nanoseconds since 1970. */
export interface OpeningTime {
  /** The time of the newest batch. */
  newestNs: bigint;
  saved: SavedTime | undefined;
  /** The store's time now, as announced by the broker that had the store until a moment ago. */
  continued: ContinuedTime | undefined;
  /** The store's time now, by what this machine has counted since its start; undefined if that is not known. */
  bootNs?: bigint | undefined;
  /** The time of a file that was written just now: by the clock of the file server, where the file system has one. */
  fileNs: bigint | undefined;
}

/** More than this are made one: messages are kept for too long then, never for too short a time. */
const MAX_GAPS = 16;
/** For so long health reports that the store held messages of a time to come when it was opened. */
const TOLD_MS = 3_600_000;

/**
 * Two times of a store.
 *
 * Its own, which ages and start times go by. It never goes back, and while a broker runs it goes on as time passes, whatever the
 * machine's clock says; a takeover carries it on. It is stored with each batch. As long as all clocks are right it is the clock's.
 *
 * And the time that new messages bear, which is the clock's as far as that is believed. Within a channel it never goes back either: that
 * is the log's concern (see `isBehind`).
 */
export class StoreTime {
  /** The store's own time of the present batch, whole milliseconds since 1970. */
  ms = 0;
  /** What the messages of the present batch bear: nanoseconds since 1970, its whole milliseconds, and as MsgProto has it. */
  stampNs = 0n;
  stampMs = 0;
  readonly varint = Buffer.alloc(MAX_TIMESTAMP_SIZE);
  varintLength = 0;
  /** The store's own time less what messages bear. */
  shiftNs = 0n;
  /** Some channel has messages that bear a later time than those of the present batch. */
  isBehind = false;
  /** Called when it parts from the clock's, or the other way round: a checkpoint should save it. */
  onParted: (() => void) | undefined;
  /** Called when messages have become older. */
  onOlder: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #believed: BelievedTime;
  readonly #warn: (message: string) => void;
  /** The time of the present batch. */
  #ns = 0n;
  /** As of the last look. */
  #nowNs: bigint;
  #lookedMs: number;
  #leadNs = 0n;
  /** How far the clock is ahead of what is believed of it. */
  #doubtMs = 0;
  #gaps: TimeGap[] = [];
  /** The store's own time when it was opened, if it was taken from the clock then. */
  #openedMs: number | undefined;
  /** How far the clock has gone back since, and what `#gaps` has for it. */
  #setBackMs = 0;
  #setBack: TimeGap | undefined;
  #highestStampNs = 0n;
  /** When it was opened, how far its newest messages were ahead of the clock. */
  #futureMs = 0;
  #openedAtMs = 0;

  constructor(clock: Clock, believed: BelievedTime, warn: (message: string) => void) {
    this.#clock = clock;
    this.#believed = believed;
    this.#warn = warn;
    believed.look();
    this.#nowNs = believed.ns;
    this.#lookedMs = clock.monotonicMs();
  }

  /** The store's own time of the present batch. */
  get ns(): bigint {
    return this.#ns;
  }

  /** The store's own time, as of the last look. */
  get nowNs(): bigint {
    return this.#nowNs;
  }

  get nowMs(): number {
    return Number(this.#nowNs / 1_000_000n);
  }

  /** How far the store's own time is ahead of the clock's, milliseconds; behind it if negative. */
  get leadMs(): number {
    return Number(this.#leadNs) / 1e6;
  }

  /** What was not as it should be when the store was opened, for people. */
  get problem(): string | undefined {
    if (this.#futureMs === 0 || this.#clock.monotonicMs() - this.#openedAtMs > TOLD_MS) return undefined;
    return (
      `the store held messages that bear a time ${seconds(this.#futureMs)} ahead of the clock of this machine: a clock was ahead before, or this one is behind. ` +
      'Compare the clocks of all members (timedatectl, or date -u)'
    );
  }

  /** Undefined as long as the store's own time is that of the clock. A clock that is not believed yet may be wrong at the next start too. */
  get saved(): SavedTime | undefined {
    const leadMs = this.leadMs - this.#doubtMs;
    if (leadMs === 0 && this.#gaps.length === 0) return undefined;
    return { leadMs, gaps: this.#gaps.map((gap) => ({ ...gap })) };
  }

  /** Before anything is stored. */
  open({ newestNs, saved, continued, bootNs, fileNs }: OpeningTime): void {
    const believed = this.#believed;
    believed.look();
    const savedLeadNs = nanoseconds(saved?.leadMs ?? 0);
    // What runs has told how time has passed. Otherwise the machine itself may know.
    if (continued === undefined && bootNs !== undefined) {
      const withLeadNs = savedLeadNs < 0n ? believed.ns + savedLeadNs : believed.ns;
      const aheadMs = Number(withLeadNs - bootNs) / 1e6;
      // A record that is behind what is stored is wrong itself.
      const isCredible = Number(newestNs - bootNs) / 1e6 <= CLOCK_TOLERANCE_MS;
      if (isCredible && aheadMs > CLOCK_TOLERANCE_MS) believed.doubt(aheadMs);
    }
    this.#doubtMs = believed.doubtMs;
    const clockNs = believed.ns;
    this.#gaps = saved?.gaps.slice() ?? [];
    let nowNs = clockNs;
    if (continued !== undefined) {
      // Anyone who can publish on NATS can forge this: so it may make messages younger, but not older.
      if (savedLeadNs > 0n) nowNs += savedLeadNs;
      if (continued.ns < nowNs) nowNs = continued.ns;
    } else {
      if (savedLeadNs < 0n) nowNs += savedLeadNs;
      const aheadMs = fileNs === undefined ? 0 : Number(nowNs - fileNs) / 1e6;
      // One that is behind what is stored is wrong itself, or no clock at all.
      const isCredible = fileNs !== undefined && Number(newestNs - fileNs) / 1e6 <= CLOCK_TOLERANCE_MS;
      if (isCredible && aheadMs > CLOCK_TOLERANCE_MS) {
        nowNs = fileNs;
        this.#warn(aheadOfFiles(aheadMs));
      }
    }
    const expectedNs = clockNs + (savedLeadNs > 0n ? savedLeadNs : 0n);
    const futureMs = Number(newestNs - expectedNs) / 1e6;
    // It may be this machine's clock that is behind: its predecessor's was not, then.
    const isBehind =
      continued !== undefined && continued.leadMs <= Number(expectedNs - clockNs) / 1e6 + CLOCK_TOLERANCE_MS;
    if (futureMs > CLOCK_TOLERANCE_MS && !isBehind) {
      this.#gaps.push({ fromMs: Number(expectedNs / 1_000_000n), toMs: Number(newestNs / 1_000_000n) });
      this.#futureMs = futureMs;
      this.#warn(inTheFuture(futureMs));
    }
    if (nowNs < newestNs) nowNs = newestNs;
    this.#leadNs = nowNs - clockNs;
    if (Math.abs(this.leadMs) <= CLOCK_TOLERANCE_MS) {
      this.#leadNs = 0n;
      if (nowNs < clockNs) nowNs = clockNs;
    }
    this.#nowNs = this.#ns = nowNs;
    this.ms = this.nowMs;
    this.#lookedMs = this.#openedAtMs = this.#clock.monotonicMs();
    if (continued === undefined) this.#openedMs = this.ms;
    this.#boundGaps();
  }

  /** Messages that bear a time up to this one are there. */
  hasStamps(ns: bigint): void {
    if (ns > this.#highestStampNs) this.#highestStampNs = ns;
  }

  /** Looks at the clocks. */
  look(): void {
    const believed = this.#believed;
    believed.look();
    const monotonicMs = this.#clock.monotonicMs();
    const carriedNs = this.#nowNs + nanoseconds(monotonicMs - this.#lookedMs);
    const expectedNs = believed.ns + this.#leadNs;
    const stepMs = Number(expectedNs - carriedNs) / 1e6;
    const isNewDoubt = believed.doubtMs !== this.#doubtMs;
    this.#doubtMs = believed.doubtMs;
    this.#lookedMs = monotonicMs;
    if (Math.abs(stepMs) <= CLOCK_TOLERANCE_MS) {
      if (expectedNs > this.#nowNs) this.#nowNs = expectedNs;
      if (isNewDoubt) this.onParted?.();
      return;
    }
    this.#nowNs = carriedNs;
    this.#leadNs = carriedNs - believed.ns;
    if (stepMs < 0) this.#clockWentBack(-stepMs);
    else this.#clockWentForward(stepMs);
    if (Math.abs(this.leadMs) <= CLOCK_TOLERANCE_MS) this.#leadNs = 0n;
    this.onParted?.();
  }

  /** Takes the time for a new batch. */
  advance(): void {
    this.look();
    const stampNs = this.#believed.ns;
    this.#ns = this.#nowNs;
    this.ms = this.nowMs;
    this.isBehind = stampNs < this.#highestStampNs;
    this.stampNs = stampNs;
    this.shiftNs = this.#ns - stampNs;
    this.stampMs = Number(stampNs / 1_000_000n);
    this.varintLength = encodeTimestamp(this.varint, 0, stampNs);
    this.hasStamps(stampNs);
  }

  /** Since when a message that is stored under `ms` is there, for its age. */
  sinceMs(ms: number): number {
    let sinceMs = ms;
    for (const { fromMs, toMs } of this.#gaps) {
      if (sinceMs <= fromMs) sinceMs += toMs - fromMs;
      else if (sinceMs < toMs) sinceMs = toMs;
    }
    return sinceMs;
  }

  /** What is stored under this time or a later one is there since `ns` or later: the reverse of `sinceMs`. */
  storedNs(ns: bigint): bigint {
    let storedNs = ns;
    for (let i = this.#gaps.length - 1; i >= 0; i--) {
      const { fromMs, toMs } = this.#gaps[i];
      if (storedNs <= BigInt(toMs) * 1_000_000n) storedNs -= BigInt(toMs - fromMs) * 1_000_000n;
    }
    return storedNs;
  }

  /** The store was opened by a clock that was ahead: what was stored before is younger than it seemed then. */
  #clockWentBack(byMs: number): void {
    if (this.#openedMs === undefined) return;
    this.#setBackMs += byMs;
    this.#replaceSetBack(this.#openedMs);
  }

  /** Time has passed as the monotonic clock says, no more. If the clock comes back to where it was, going back was the mistake. */
  #clockWentForward(byMs: number): void {
    if (this.#openedMs === undefined || this.#setBack === undefined) return;
    if (byMs > this.#setBackMs + CLOCK_TOLERANCE_MS) return;
    this.#setBackMs = Math.max(0, this.#setBackMs - byMs);
    this.#replaceSetBack(this.#openedMs);
    this.onOlder?.();
  }

  #replaceSetBack(openedMs: number): void {
    const former = this.#setBack;
    this.#gaps = this.#gaps.filter((gap) => gap !== former);
    this.#setBack = undefined;
    if (this.#setBackMs <= CLOCK_TOLERANCE_MS) return;
    this.#setBack = { fromMs: openedMs - Math.round(this.#setBackMs), toMs: openedMs };
    this.#gaps.push(this.#setBack);
  }

  #boundGaps(): void {
    while (this.#gaps.length > MAX_GAPS) {
      const [first, second] = this.#gaps.splice(0, 2) as [TimeGap, TimeGap];
      this.#gaps.unshift({ fromMs: first.fromMs, toMs: second.toMs });
    }
  }
}

function inTheFuture(ms: number): string {
  return (
    `The newest messages of the store bear a time that is ${seconds(ms)} ahead of the clock of this machine: a clock was ahead before, or this one is behind. ` +
    'Their age counts from now on; that of older and of new messages is what it is. A channel in which messages bear such a time repeats it until the clock ' +
    'has caught up. Compare the clocks of all members (timedatectl, or date -u)'
  );
}

function aheadOfFiles(ms: number): string {
  return (
    `The clock of this machine is ${seconds(ms)} ahead of that of the file system that the store is on. Limits on age go by the latter, ` +
    'so that nothing is deleted too early. Compare the clocks of this machine and of the file server (timedatectl, or date -u)'
  );
}
