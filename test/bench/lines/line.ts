import type { Side } from '../sides.js';

export type StoreKind = 'memory' | 'file';

/** What is measured of a side in a round. Each is a column of the tables. */
export interface Figures {
  /** Messages a second of a new process, and behind that. Where several subscribers each get all messages: deliveries. */
  cold?: number;
  warm?: number;
  /** CPU time per published message, µs; of the process that is measured, or of the client. */
  cpu?: number;
  /** Bytes that the process wrote to files by its own calls, per byte of payload, up to when it was at rest again. */
  written?: number;
  /** Cores that were kept busy: by the side itself, nats-server, the load generator, and by something else. */
  selfCores?: number;
  natsCores?: number;
  loadCores?: number;
  otherCores?: number;
  /** How long it took. */
  ms?: number;
  /** Clients waited so long for a PubAck of a small message meanwhile: the 99th percentile, and the longest wait. */
  p99Ms?: number;
  longestMs?: number;
  /** How late the event loop was: the 99th percentile. */
  loopP99Ms?: number;
  /** The most memory that the process had. */
  peakBytes?: number;
  /** Resident memory once the process is at rest: behind the load, and after a restart. */
  restBytes?: number;
  restartedBytes?: number;
}

export type FigureName = keyof Figures;

/** A limit for a figure of stanchion, by itself, or as a multiple of another side's in the same run. */
export interface Target {
  figure: FigureName;
  beside?: Side;
  atLeast?: number;
  atMost?: number;
}

interface BaseLine {
  id: string;
  title: string;
  sides: readonly Side[];
  /** It is measured also without a choice of lines. */
  isCommon: boolean;
  /** It is measured with `--quick`. */
  isQuick: boolean;
  /** At most so many rounds: for what takes long and varies little. */
  maxRounds: number;
  targets: readonly Target[];
  /** The side that the targets are for. */
  subject: Side;
}

/** Publishers, and what subscribes to them. */
export interface LoadLine extends BaseLine {
  kind: 'load';
  store: StoreKind;
  payloadBytes: number;
  publishers: number;
  subscribers: number;
  isQueue: boolean;
  channels: number;
  /** Messages in flight per publisher. */
  window: number;
  /** The first messages of a new process; four times as many follow. */
  coldMessages: number;
  /** A channel keeps so many bytes of messages, and has had more of them before what is measured; 0: it keeps all. */
  channelBytes: number;
  /** Another process appends and syncs on the same disk. */
  isDiskBusy: boolean;
  /** The first message comes as soon as the process is ready, instead of once it is at rest. Nothing else is warm either. */
  isAtOnce: boolean;
}

/** A subscriber reads what is stored, from the disk of a broker that has just started, while a publisher has a steady rate. */
export interface ReplayLine extends BaseLine {
  kind: 'replay';
  payloadBytes: number;
  messages: number;
  publishesPerSecond: number;
}

/** Large messages, and how long small ones wait meanwhile. */
export interface LargeLine extends BaseLine {
  kind: 'large';
  payloadBytes: number;
  messages: number;
  window: number;
  maxPayload: number;
  publishesPerSecond: number;
}

export interface StartLine extends BaseLine {
  kind: 'start';
  command: 'serve' | 'pub' | 'help';
}

/** A group of two loses its active under load. */
export interface OutageLine extends BaseLine {
  kind: 'outage';
  perSecond: number;
  storedMessages: number;
}

/** Memory at rest: so many channels with all messages stored among them. */
export interface RestLine extends BaseLine {
  kind: 'rest';
  channels: number;
  messages: number;
}

/** What one client of each library does against the same broker, in the memory store. */
export interface ClientLine extends BaseLine {
  kind: 'client';
  act: 'publish' | 'receive';
  messages: number;
}

export type Line = LoadLine | ReplayLine | LargeLine | StartLine | OutageLine | RestLine | ClientLine;

/** All of one length, as the load generator needs them. */
export function channelNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `bench.${String(index).padStart(4, '0')}`);
}
