import type { WheelTimer } from '../../clock/timer-wheel.js';
import type { ClientRecord } from '../../store/types/store.js';
import { AckLine } from './ack-line.js';
import type { Subscription } from './subscription.js';

/** A connected client. As a wheel timer it wakes when its next heartbeat is due. */
export class ClientSession implements WheelTimer {
  dueTick = -1;

  readonly subscriptions = new Set<Subscription>();
  readonly ackLine = new AckLine();
  /** Heartbeats in a row without an answer. */
  failedHeartbeats = 0;
  isClosed = false;
  /** It is being asked whether it is there, out of turn. */
  isBeingConfirmed = false;

  readonly #onHeartbeatDue: (client: ClientSession) => void;

  constructor(
    readonly record: ClientRecord,
    onHeartbeatDue: (client: ClientSession) => void,
  ) {
    this.#onHeartbeatDue = onHeartbeatDue;
  }

  get id(): string {
    return this.record.clientId;
  }

  /** It did not answer its last heartbeat. */
  get isSilent(): boolean {
    return this.failedHeartbeats > 0;
  }

  onTimer(): void {
    this.#onHeartbeatDue(this);
  }
}
