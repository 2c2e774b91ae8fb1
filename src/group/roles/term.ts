import type { Timer } from '../../clock/clock.js';
import { FsCalls } from '../../files/fs-calls.js';
import { LOCKS_DIRECTORY } from '../../files/store-folder.js';
import type { LeaseRenewer } from '../../lease/lease-renewer.js';
import { type LeaseState, type Served, servedOf } from '../../lease/lease-state.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import { isBug } from '../../util/bug.js';
import type { TransportLink } from '../talk/nats-transport.js';
import type { MemberParts } from './member-parts.js';
import type { Service } from './service.js';

/** How a term ends: handed over, lost to another member, cut off from NATS, or failed by itself. */
export interface TermEnd {
  kind: 'handover' | 'lost' | 'cut off' | 'failed';
  /** For people. */
  why: string;
}

/** The time for recovering the store with the fence behind it, and for that fence. In milliseconds. */
export interface Opened {
  recoveryMs: number;
  fenceMs: number;
}

/** Number of failures in a row after which the store counts as lost. */
const STALE_LOOKS = 3;
/**
 * The term ends when a write has not ended for this time, and for as many leases as a renewal may take; or when a recovery had no call
 * to the file system end for that time. Writes have more time than renewals, since a slow disk would be slow for a successor too.
 */
const STUCK_DATA_MS = 10_000;
/** Limit of the wait for closing files, which a hung store never does. */
const CLOSE_MS = 1_000;

/** One term of this member: from the rename that won it to its end. */
export class Term {
  readonly epoch: number;
  readonly renewer: LeaseRenewer;
  readonly ended: Promise<TermEnd>;
  /** The calls of the recovery to the file system. They may outlive the term: a hung call cannot be taken back. */
  readonly calls: FsCalls;
  service: Service | undefined;
  readonly #parts: MemberParts;
  /** What was durable for certain before this term. */
  readonly #served: Served;
  #end!: (end: TermEnd) => void;
  #isEnded = false;
  /** Whether no more answers are sent while a renewal finds out what became of the lease. */
  #isLooking = false;
  #cutTimer: Timer | undefined;
  #staleLooks = 0;
  #stuckLooks = 0;
  #hungLooks = 0;

  constructor(parts: MemberParts, state: LeaseState, takenMs: number) {
    this.#parts = parts;
    this.epoch = state.epoch;
    this.#served = servedOf(state);
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
    // If the recovery hangs, it fails at some time after the end.
    opening.catch(() => {});
    return Promise.race([opening, this.ended.then(() => undefined)]);
  }

  async #open(): Promise<Opened | undefined> {
    const { clock } = this.#parts;
    const begunMs = clock.monotonicMs();
    const service = await this.#parts.openService({
      epoch: this.epoch,
      served: this.#served,
      fence: (batch) => this.renewer.fence(batch),
      calls: this.calls,
      onFailed: (error) => this.end({ kind: 'failed', why: error.message }),
    });
    if (this.#isEnded) {
      // Nothing else has a reference to it.
      await service.abandon();
      return undefined;
    }
    this.service = service;
    // The fence makes sure that a successor accepts the same journals, before anything is said of them.
    const openedMs = clock.monotonicMs();
    await (service.isSynced ? this.renewer.markServed() : this.renewer.fence());
    const endedMs = clock.monotonicMs();
    return { recoveryMs: endedMs - begunMs, fenceMs: endedMs - openedMs };
  }

  /** Ends the term. Only the first call counts. From this moment no answers are sent, except in a handover. */
  end(end: TermEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cutTimer?.cancel();
    if (end.kind !== 'handover') this.service?.broker.stop();
    this.#refuseRecovery();
    this.#end(end);
  }

  /** Stops a recovery that is under way: nothing needs it any more, and it must not write. */
  #refuseRecovery(): void {
    if (this.service === undefined) this.calls.refuse();
  }

  /**
   * Steps down at once when the lock of its epoch is no longer its own. Most often a successor has removed it, since this process was
   * paused, and the lock was checked before the lease. So a renewal finds out what to report.
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
            `the lock of epoch ${epoch} is no longer its own, though no member has taken the lease: ${error.message}. ` +
            `Another program seems to change what is in ${locks}: leave that folder to the members`,
        }),
      (lost: Error) => this.#end({ kind: 'lost', why: lost.message }),
    );
  }

  linkUp(): void {
    this.#cutTimer?.cancel();
    this.#cutTimer = undefined;
  }

  /** Ends the term after a lease without a link: a server may be gone for a moment, but then a successor with another one may do better. */
  linkDown(reason: string): void {
    if (this.#isEnded || this.#cutTimer !== undefined) return;
    const { clock, options } = this.#parts;
    this.#cutTimer = clock.setTimer(options.leaseMs, () =>
      this.end({ kind: 'cut off', why: `no connection to NATS for ${options.leaseMs} ms: ${reason}` }),
    );
  }

  /**
   * Ends the term if renewals hang: a hung store answers nothing, not even that the lease is lost. Call it now and then. One look is not
   * enough, since a process that was paused finds old times with a healthy store.
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
   * Ends the term if a write hangs. Data may hang where names do not: then renewals and heartbeats would go on, for a term in which
   * nothing is ever acknowledged. Call it now and then, as `checkRenewals`.
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
   * Ends the term if its recovery hangs: on one file or on all, and perhaps only on this machine. As long as calls end, or none is under
   * way, a recovery may take any time. Call it now and then, as `checkRenewals`.
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

  /** How long a write, or a call of a recovery, may take. */
  get #dataMs(): number {
    return Math.max(STUCK_DATA_MS, this.#parts.options.leaseMs * STUCK_LEASES);
  }

  /** Answers the requests that were taken, closes the store, and gives the lease back. @returns false if the lease was lost before */
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
      // A hung write was not acknowledged: neither a successor nor clients need to wait for it.
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

  /** Sends no more answers. @param isOurs whether there is a lease to give back */
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
