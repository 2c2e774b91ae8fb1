import type { WheelTimer } from '../../clock/timer-wheel.js';
import type { ClientRecord } from '../../store/types/store.js';
import { AckLine } from './ack-line.js';
import type { Subscription } from './subscription.js';

/** The protocol level that clients and brokers speak. */
export const PROTOCOL_LEVEL = 1;
/**
 * The level in the record of a client that has said that it puts its connection id into each request. The level is stored with the
 * client, so this holds over restarts; a client never sends it.
 */
export const PROVING_LEVEL = 2;

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

  /** It puts its connection id into each request: one without it is from another client. */
  get provesRequests(): boolean {
    return this.record.protocol >= PROVING_LEVEL;
  }

  /** Whether a request with this connection id may be its own. Most clients send none, and are known by their client id alone. */
  mayHaveSent(connId: Uint8Array): boolean {
    return connId.length === 0 ? !this.provesRequests : Buffer.compare(connId, this.record.connId) === 0;
  }

  /** It did not answer its last heartbeat. */
  get isSilent(): boolean {
    return this.failedHeartbeats > 0;
  }

  onTimer(): void {
    this.#onHeartbeatDue(this);
  }
}
