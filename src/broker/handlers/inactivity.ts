import type { Clock } from '../../clock/clock.js';
import type { TimerWheel, WheelTimer } from '../../clock/timer-wheel.js';
import type { Logger } from '../../log/logger.js';
import type { Store } from '../../store/types/store.js';
import type { Channel } from '../state/channel.js';
import type { Channels } from '../state/channels.js';
import type { EndedSubscriptions } from '../state/ended-subscriptions.js';

/** What the end of inactive channels needs. */
export interface InactivityNeeds {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly channels: Pick<Channels, 'remove'>;
  readonly ended: Pick<EndedSubscriptions, 'remove'>;
  readonly store: Pick<Store, 'removeSubscription' | 'deleteLog' | 'commitLater'>;
  readonly log: Logger;
}

/** The wait of one channel without subscriptions. */
interface Wait extends WheelTimer {
  /** When the channel was last used, on the monotonic clock: a message, or the end of its last subscription. */
  usedAtMs: number;
}

/** Deletes channels that were not used for as long as their limit says. A wall clock that is set forward deletes nothing. */
export class Inactivity {
  readonly #needs: InactivityNeeds;
  /** Those that may be deleted when their time comes: without an active subscription, and with a limit. */
  readonly #waits = new Map<Channel, Wait>();

  constructor(needs: InactivityNeeds) {
    this.#needs = needs;
  }

  /** Starts the wait. To be called when the channel's last subscription ends. */
  watch(channel: Channel): void {
    const { maxInactivityMs } = channel.limits;
    if (maxInactivityMs <= 0) return;
    const { clock, wheel } = this.#needs;
    let wait = this.#waits.get(channel);
    if (wait === undefined) {
      wait = { dueTick: -1, usedAtMs: 0, onTimer: () => this.#onTimer(channel) };
      this.#waits.set(channel, wait);
    }
    wait.usedAtMs = clock.monotonicMs();
    wheel.arm(wait, maxInactivityMs);
  }

  /** The channel has a subscription. */
  stop(channel: Channel): void {
    const wait = this.#waits.get(channel);
    if (wait === undefined) return;
    this.#needs.wheel.disarm(wait);
    this.#waits.delete(channel);
  }

  /** The channel got messages. */
  used(channel: Channel, nowMs: number): void {
    if (channel.limits.maxInactivityMs <= 0) return;
    const wait = this.#waits.get(channel);
    if (wait !== undefined) wait.usedAtMs = nowMs;
  }

  /** Deletes the channel with its offline durables, or waits on if it was used meanwhile. */
  #onTimer(channel: Channel): void {
    const wait = this.#waits.get(channel);
    if (wait === undefined || channel.hasActiveSubscriptions) return;
    const { clock, wheel } = this.#needs;
    const nowMs = clock.monotonicMs();
    // A message that is not durable yet is about to be acknowledged: the channel is in use until it is.
    if (channel.visible < channel.log.lastSequence) wait.usedAtMs = nowMs;
    const restMs = wait.usedAtMs + channel.limits.maxInactivityMs - nowMs;
    if (restMs > 0) wheel.arm(wait, restMs);
    else this.#delete(channel);
  }

  #delete(channel: Channel): void {
    const { store, ended, channels, log } = this.#needs;
    this.#waits.delete(channel);
    for (const durable of channel.durables.values()) {
      store.removeSubscription(durable.id);
      // A late ack may not have been recorded yet.
      durable.progress.clear();
      ended.remove(durable);
    }
    for (const group of channel.groups.values()) {
      store.removeSubscription(group.id);
      group.progress.clear();
    }
    channel.groups.clear();
    store.deleteLog(channel.log);
    channels.remove(channel);
    store.commitLater();
    log.info(
      { channel: channel.name, maxInactivityMs: channel.limits.maxInactivityMs },
      'channel deleted: inactive for longer than its limit',
    );
  }
}
