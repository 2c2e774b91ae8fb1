import type { Timer } from '../../clock/clock.js';
import { FsCalls } from '../../files/fs-calls.js';
import { LOCKS_DIRECTORY } from '../../files/store-folder.js';
import type { LeaseState } from '../../lease/lease.js';
import type { LeaseRenewer } from '../../lease/lease-renewer.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import { isBug } from '../../util/bug.js';
import type { TransportLink } from '../talk/nats-transport.js';
import type { MemberParts } from './member-parts.js';
import type { Service } from './service.js';

/** How a term ends: given away, lost to another, cut off from NATS, or failed by itself. */
export interface TermEnd {
  kind: 'handover' | 'lost' | 'cut off' | 'failed';
  /** For people. */
  why: string;
}

/** How long recovering the store took with the fence behind it, and that fence. Milliseconds. */
export interface Opened {
  recoveryMs: number;
  fenceMs: number;
}

/** In a row, until the store counts as lost. */
const STALE_LOOKS = 3;
/**
 * A write that has not ended for so long, and for as many leases as a renewal, ends the lease; so does a recovery in which no call
 * to the file system has. A disk that is merely slow is so for a successor too, so it has more time than a renewal.
 */
const STUCK_DATA_MS = 10_000;
/** Files that a hung store does not close are not waited for. */
const CLOSE_MS = 1_000;

/** One term of this member: from the rename that won it to its end. */
export class Term {
  readonly epoch: number;
  readonly renewer: LeaseRenewer;
  readonly ended: Promise<TermEnd>;
  /** Of the recovery. They may be under way when the term has ended: one that hangs cannot be taken back. */
  readonly calls: FsCalls;
  service: Service | undefined;
  readonly #parts: MemberParts;
  #end!: (end: TermEnd) => void;
  #isEnded = false;
  /** Nothing is said any more; the lease's name is asked what became of it. */
  #isLooking = false;
  #cutTimer: Timer | undefined;
  #staleLooks = 0;
  #stuckLooks = 0;
  #hungLooks = 0;

  constructor(parts: MemberParts, state: LeaseState, takenMs: number) {
    this.#parts = parts;
    this.epoch = state.epoch;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const { clock, lease, options } = parts;
    this.calls = new FsCalls(clock);
    this.renewer = parts.startRenewer({
      clock,
      lease,
      state,
      takenMs,
      leaseMs: options.leaseMs,
      onLost: (error) => {
        if (isBug(error)) parts.log.error({ err: error }, 'a bug: the renewal of the lease has failed');
        this.end({ kind: isBug(error) ? 'failed' : 'lost', why: error.message });
      },
      onRenewed: (tookMs) => parts.measures?.leaseRenewal.observe(tookMs / 1e3),
    });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Recovers the store. @returns undefined if the term has ended before that was done. @throws StoreError */
  open(): Promise<Opened | undefined> {
    const opening = this.#open();
    // If it hangs, it fails at some time after the end.
    opening.catch(() => {});
    return Promise.race([opening, this.ended.then(() => undefined)]);
  }

  async #open(): Promise<Opened | undefined> {
    const { clock } = this.#parts;
    const begunMs = clock.monotonicMs();
    const service = await this.#parts.openService({
      epoch: this.epoch,
      fence: () => this.renewer.fence(),
      calls: this.calls,
      onFailed: (error) => this.end({ kind: 'failed', why: error.message }),
    });
    if (this.#isEnded) {
      // Nobody else knows of it.
      await service.abandon();
      return undefined;
    }
    this.service = service;
    // What was accepted is on record before anything of it is said: a successor will accept the same.
    const openedMs = clock.monotonicMs();
    await this.renewer.fence();
    const endedMs = clock.monotonicMs();
    return { recoveryMs: endedMs - begunMs, fenceMs: endedMs - openedMs };
  }

  /** The first end counts. From this moment nothing is said, but for a handover. */
  end(end: TermEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cutTimer?.cancel();
    if (end.kind !== 'handover') this.service?.broker.stop();
    this.#refuseRecovery();
    this.#end(end);
  }

  /** What is still being recovered is needed by nobody, and nothing more is written for it. */
  #refuseRecovery(): void {
    if (this.service === undefined) this.calls.refuse();
  }

  /**
   * The lock of its epoch is no longer its own: it steps down, at once. Most often a successor has removed it, since this
   * process stood still, and the lock was looked at before the lease was. So a renewal says what to tell.
   */
  lockLost(error: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = this.#isLooking = true;
    this.#cutTimer?.cancel();
    this.service?.broker.stop();
    this.#refuseRecovery();
    const { epoch } = this;
    const locks = `${this.#parts.dir}/${LOCKS_DIRECTORY}`;
    this.renewer.fence().then(
      () =>
        this.#end({
          kind: 'failed',
          why:
            `the lock of epoch ${epoch} is no longer its own, though nobody has taken the lease: ${error.message}. ` +
            `Is somebody else changing what is in ${locks}? Leave that to the members`,
        }),
      (lost: Error) => this.#end({ kind: 'lost', why: lost.message }),
    );
  }

  linkUp(): void {
    this.#cutTimer?.cancel();
    this.#cutTimer = undefined;
  }

  /** A server may be gone for a moment; a successor with another one may do better after that. */
  linkDown(reason: string): void {
    if (this.#isEnded || this.#cutTimer !== undefined) return;
    const { clock, options } = this.#parts;
    this.#cutTimer = clock.setTimer(options.leaseMs, () =>
      this.end({ kind: 'cut off', why: `no connection to NATS for ${options.leaseMs} ms: ${reason}` }),
    );
  }

  /**
   * A store that hangs answers nothing, not even that the lease is lost. To be called now and then: one look is not enough,
   * since whoever was paused finds old times and a store that is quite well.
   */
  checkRenewals(): void {
    const { clock, options, dir } = this.#parts;
    const silentMs = clock.monotonicMs() - this.renewer.renewedMs;
    if (silentMs < options.leaseMs * STUCK_LEASES) {
      this.#staleLooks = 0;
      return;
    }
    if (this.#staleLooks++ === 0) this.renewer.fence().catch(() => {});
    if (this.#staleLooks < STALE_LOOKS) return;
    const end: TermEnd = {
      kind: 'failed',
      why: `the store in ${dir} has not answered for ${Math.round(silentMs)} ms`,
    };
    if (this.#isLooking) this.#end(end);
    else this.end(end);
  }

  /**
   * Data may hang where names do not: then renewals and heartbeats go on, for a term in which nothing is ever acknowledged. To be
   * called now and then, as `checkRenewals`.
   */
  checkWrites(): void {
    const { clock, dir } = this.#parts;
    const sinceMs = this.service?.writingSinceMs;
    const silentMs = sinceMs === undefined ? 0 : clock.monotonicMs() - sinceMs;
    if (silentMs < this.#dataMs) {
      this.#stuckLooks = 0;
      return;
    }
    if (++this.#stuckLooks < STALE_LOOKS) return;
    this.end({
      kind: 'failed',
      why: `a write to the store in ${dir} has not ended for ${Math.round(silentMs)} ms`,
    });
  }

  /**
   * The same for a recovery: a file that hangs, alone or with all others, and for this machine alone, perhaps. As long as calls
   * end, or none is under way, it may take as long as it likes. To be called now and then, as `checkRenewals`.
   */
  checkRecovery(): void {
    const { log, dir, options } = this.#parts;
    const call = this.calls.oldest;
    if (call === undefined || call.silentMs < this.#dataMs || this.#isEnded) {
      this.#hungLooks = 0;
      return;
    }
    if (++this.#hungLooks < STALE_LOOKS) return;
    const { operation, path } = call;
    const hungMs = Math.round(call.silentMs);
    const what = `${operation} of ${path} has not ended for ${hungMs} ms`;
    log.error(
      { epoch: this.epoch, operation, path, hungMs },
      `recovering the store in ${dir} hangs: ${what}, and nothing else has. The lease is given back, so that a member on another machine can ` +
        `take over; this one (node ${options.nodeName}) takes none before that has ended. Look at the mount and its servers from this machine ` +
        `(does "ls -l ${path}" end, or "cat" of it?). If the mount is well again and this one does not go on, start it again`,
    );
    this.end({ kind: 'failed', why: `recovering the store hangs: ${what}` });
  }

  /** A write, or any call of a recovery, has so long to end. */
  get #dataMs(): number {
    return Math.max(STUCK_DATA_MS, this.#parts.options.leaseMs * STUCK_LEASES);
  }

  /** Answers what was taken, closes the store, gives the lease back. @returns false if it was lost before */
  async handOver(link: TransportLink | undefined): Promise<boolean> {
    const { clock, log, dir } = this.#parts;
    const patienceMs = this.#dataMs;
    let timer: Timer | undefined;
    const impatience = new Promise<never>((_, reject) => {
      timer = clock.setTimer(patienceMs, () =>
        reject(new Error(`the store in ${dir} has not ended its writes for ${patienceMs} ms`)),
      );
    });
    try {
      // What hangs was not told to anybody: a successor need not wait for it, and clients should not.
      await Promise.race([this.service?.drain(link), impatience]);
    } catch (error) {
      log.error({ reason: (error as Error).message }, 'the store could not be closed in order');
      this.service?.broker.stop();
    } finally {
      timer?.cancel();
    }
    const isGiven = await this.renewer.release().catch(() => false);
    this.service?.broker.stop();
    return isGiven;
  }

  /** Says nothing more. @param isOurs whether there is a term to give back */
  async breakOff(isOurs: boolean): Promise<void> {
    this.#isEnded = true;
    this.#cutTimer?.cancel();
    this.#refuseRecovery();
    const closed = this.service?.abandon().catch(() => {});
    const { clock } = this.#parts;
    const patience = new Promise<void>((resolve) => {
      clock.setTimer(CLOSE_MS, resolve);
    });
    if (closed !== undefined) await Promise.race([closed, patience]);
    if (!isOurs) {
      this.renewer.stop();
      return;
    }
    await Promise.race([this.renewer.release().catch(() => false), patience]);
  }
}
