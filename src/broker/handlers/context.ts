import type { Clock } from '../../clock/clock.js';
import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { ChannelLimits } from '../../config/channel-limits.js';
import type { RecentGuids } from '../../dedup/recent-guids.js';
import type { OutBuffer } from '../../link/writer.js';
import type { Logger } from '../../log/logger.js';
import type { RateLimitedLog } from '../../log/rate-limited.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import type { Store } from '../../store/types/store.js';
import type { Probe } from '../check/probe.js';
import type { CommitGate } from '../delivery/commit-gate.js';
import type { Delivery } from '../delivery/delivery.js';
import type { Turn } from '../delivery/turn.js';
import type { AckInboxes } from '../state/ack-inboxes.js';
import type { BadInputKind } from '../state/bad-input.js';
import type { Channels } from '../state/channels.js';
import type { ClientSession } from '../state/client-session.js';
import type { Clients } from '../state/clients.js';
import type { Counters } from '../state/counters.js';
import type { EndedSubscriptions } from '../state/ended-subscriptions.js';
import type { AckWaitHandler, Subscription } from '../state/subscription.js';

/** How a broker behaves, whatever it runs on. */
export interface BrokerOptions {
  clusterId: string;
  discoverPrefix: string;
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  /** Heartbeats in a row without an answer after which the next failure closes the client. */
  heartbeatFailCount: number;
  /** 0 is unlimited. */
  maxChannels: number;
  limitsFor(channelName: string): ChannelLimits;
  /** Bytes that may wait for the disk; beyond it publishers get an error. */
  maxPendingBytes: number;
  /** A second subscription to a durable in use replaces the first instead of being refused. */
  replaceDurable: boolean;
}

/** Asks a client whether it is there. */
export interface ClientPinger {
  /** @returns whether an answer came within the time. Never rejects. */
  ping(heartbeatInbox: string, timeoutMs: number): Promise<boolean>;
}

/** A rare message, with its bytes copied out of the read buffer. */
export interface Request {
  /** Empty if no answer is wanted. */
  reply: Buffer;
  payload: Buffer;
}

/** What the handlers of the protocol's messages share. Each thing in it has one owner: see its own file. */
export interface BrokerContext {
  readonly options: BrokerOptions;
  readonly subjects: StanSubjects;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly store: Store;
  readonly gate: CommitGate;
  readonly clients: Clients;
  readonly channels: Channels;
  /** All that are online, by id: acks come with it. */
  readonly subscriptions: Map<number, Subscription>;
  readonly ended: EndedSubscriptions;
  readonly recentGuids: RecentGuids;
  readonly turn: Turn;
  readonly delivery: Delivery;
  readonly pinger: ClientPinger;
  readonly counters: Counters;
  readonly log: Logger;
  /** What comes in from outside and is wrong: counted, and logged now and then. */
  readonly badInput: RateLimitedLog<BadInputKind>;
  /** Bytes that came in and wait until it is known whether there is room. */
  readonly waitingBytes: number;
  /** It takes nothing more, and the store may be closed: whoever has waited for something lets it be. */
  readonly isDraining: boolean;
  readonly ackWait: AckWaitHandler;
  readonly ackInboxes: AckInboxes;
  /** The broker's own, if it is to answer one: see `SelfCheck`. */
  readonly probe: Probe | undefined;

  nextSession: number;
  nextSubscriptionId: number;

  newClientSession(record: ClientSession['record']): ClientSession;
}

/** Answers at once: for what is wrong whatever the broker knows, and for what is durable. */
export function answerNow(context: BrokerContext, reply: Buffer, payload: Uint8Array): void {
  if (reply.length === 0) return;
  writeAnswer(context.turn.out, reply, payload);
}

/**
 * Refuses for what the broker knows: when that is durable. A broker that is about to lose the lease would else tell of what its
 * successor does not know, such as that a subscription is closed already.
 */
export function refuseAfterCommit(context: BrokerContext, reply: Buffer, payload: Uint8Array): void {
  if (reply.length === 0) return;
  writeAnswer(answersAfterCommit(context), reply, payload);
}

/** Where is written what may not be said before all that is appended is durable. @returns undefined without a link */
export function answersAfterCommit({ store, gate, turn }: BrokerContext): OutBuffer | undefined {
  return store.appended > store.committed ? gate.answersBehind(store.appended) : turn.out;
}

/** Answers when what was appended for it is durable. */
export function answerAfterCommit(context: BrokerContext, reply: Buffer, payload: Uint8Array): void {
  if (reply.length === 0) return;
  writeAnswer(context.gate.hold(context.store.gathering).answers, reply, payload);
}

function writeAnswer(out: OutBuffer | undefined, reply: Buffer, payload: Uint8Array): void {
  if (out === undefined) return;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  out.pub(reply, 0, reply.length, bytes.length);
  out.bytes(bytes, 0, bytes.length);
  out.crlf();
}
