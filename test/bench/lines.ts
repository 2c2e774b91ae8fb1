export type StoreKind = 'memory' | 'file';

/** One line of the table: a load, and what the broker must reach under it. */
export interface Line {
  id: string;
  title: string;
  store: StoreKind;
  publishers: number;
  subscribers: number;
  channels: number;
  /** Messages in flight per publisher. */
  window: number;
  /** Measured per round. */
  messages: number;
  /** Of the floor's messages per second. */
  shareTarget: number;
}

/** The broker's CPU time per message may be so many times the floor's. */
export const CPU_RATIO_TARGET = 1.6;
/** Stan clients send up to 16,384 ahead; a multiple of 1,000, so that 1,000 channels are taken evenly. */
export const DEFAULT_WINDOW = 4_000;

type Load = Omit<Line, 'id' | 'title' | 'store' | 'messages'> & {
  title: string;
  messages: Record<StoreKind, number>;
};

// Messages for one to three seconds a round on a machine of 2025.
const LOADS: Record<string, Load> = {
  'async-1': load('async, 1 publisher', 1, 0, 1, 0.85, 1_000_000, 700_000),
  'async-4': load('async, 4 publishers', 4, 0, 1, 0.85, 1_000_000, 700_000),
  '1-to-1': load('1 publisher to 1 subscriber', 1, 1, 1, 0.85, 500_000, 400_000),
  '4-to-4': load('4 publishers to 4 subscribers, each gets all', 4, 4, 1, 0.85, 250_000, 200_000),
  'one-in-flight': { ...load('one message in flight', 1, 0, 1, 0.9, 20_000, 4_000), window: 1 },
  'channels-1': load('1,000 channels, 1 publisher', 1, 0, 1_000, 0.75, 1_000_000, 700_000),
  'channels-4': load('1,000 channels, 4 publishers', 4, 0, 1_000, 0.75, 1_000_000, 700_000),
};

export const LINES: readonly Line[] = (['memory', 'file'] as const).flatMap((store) =>
  Object.entries(LOADS).map(([id, { title, messages, ...rest }]) => ({
    ...rest,
    id: `${store}-${id}`,
    title: `${store}: ${title}`,
    store,
    messages: messages[store],
  })),
);

/** What one client of each library does against the same broker, in the memory store. */
export interface ClientLine {
  id: string;
  title: string;
  side: 'publish' | 'receive';
  /** Per round. */
  messages: number;
  /** Times the rate of node-nats-streaming. */
  target: number;
}

export const CLIENT_LINES: readonly ClientLine[] = [
  { id: 'client-publish', title: 'async publish', side: 'publish', messages: 300_000, target: 1.5 },
  { id: 'client-receive', title: 'receive, auto ack', side: 'receive', messages: 500_000, target: 1.5 },
];

/** Of the messages per second of a broker alone. */
const FENCE_SHARE_TARGET = 0.95;

/** What a group costs: a load on a broker alone and on a group of one. Both renew the lease after each sync. */
export const FENCE_LINES: readonly Line[] = LINES.filter(({ id }) =>
  ['file-one-in-flight', 'file-async-4'].includes(id),
).map((line) => ({
  ...line,
  id: line.id.replace('file-', 'fence-'),
  shareTarget: FENCE_SHARE_TARGET,
}));

/** Memory at rest: so many channels with all messages stored among them, file store. */
export interface RestLine {
  id: string;
  title: string;
  channels: number;
  messages: number;
  maxBytes: number;
}

const REST = { messages: 2_000_000, maxBytes: 150_000_000 };

export const REST_LINES: readonly RestLine[] = [
  { id: 'rest-1', title: '2 million messages, 1 channel', channels: 1, ...REST },
  { id: 'rest-1000', title: '2 million messages, 1,000 channels', channels: 1_000, ...REST },
];

/** All of one length, as the load generator needs them. */
export function channelNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `bench.${String(index).padStart(4, '0')}`);
}

function load(
  title: string,
  publishers: number,
  subscribers: number,
  channels: number,
  shareTarget: number,
  memory: number,
  file: number,
): Load {
  return {
    title,
    publishers,
    subscribers,
    channels,
    shareTarget,
    messages: { memory, file },
    window: DEFAULT_WINDOW,
  };
}
