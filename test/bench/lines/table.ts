import type { Side } from '../sides.js';
import type { ClientLine, Line, LoadLine, OutageLine, RestLine, StartLine, Target } from './line.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Stan clients send up to 16,384 ahead; a multiple of 1,000, so that 1,000 channels are taken evenly. */
const WINDOW = 4_000;
/** Bytes in flight: fewer large messages are under way, since what clients send ahead takes memory. */
const WINDOW_BYTES = 8 * MIB;

const BESIDE_GO: readonly Side[] = ['go', 'stanchion'];
const ALL_SIDES: readonly Side[] = ['go', 'stanchion', 'floor', 'overwriting'];

const COMMON = {
  isCommon: true,
  isQuick: false,
  maxRounds: Number.POSITIVE_INFINITY,
  targets: [],
  subject: 'stanchion',
} as const;
const SIMPLE = {
  ...COMMON,
  kind: 'load',
  store: 'file',
  payloadBytes: 128,
  publishers: 1,
  subscribers: 0,
  isQueue: false,
  channels: 1,
  window: WINDOW,
  channelBytes: 0,
  isDiskBusy: false,
  isAtOnce: false,
} as const;

const rate = (figure: 'cold' | 'warm', beside: Side, atLeast: number): Target => ({
  figure,
  beside,
  atLeast,
});
const cpu = (beside: Side, atMost: number): Target => ({ figure: 'cpu', beside, atMost });
const written = (atMost: number): Target => ({ figure: 'written', atMost });

function load(id: string, title: string, coldMessages: number, rest: Partial<LoadLine>): LoadLine {
  return { ...SIMPLE, sides: BESIDE_GO, id, title, coldMessages, ...rest };
}

/** Message sizes: one publisher, the file store. */
const SIZES: readonly LoadLine[] = [
  load('publish-128', '128 B, 1 publisher', 120_000, {
    targets: [
      rate('warm', 'floor', 0.9),
      rate('warm', 'go', 1.3),
      rate('cold', 'go', 1.2),
      cpu('go', 0.6),
      written(2),
    ],
  }),
  load('publish-1k', '1 KiB, 1 publisher', 60_000, {
    payloadBytes: KIB,
    targets: [
      rate('warm', 'floor', 0.9),
      rate('warm', 'go', 1.2),
      rate('cold', 'go', 1),
      cpu('go', 0.6),
      written(1.15),
    ],
  }),
  load('publish-8k', '8 KiB, 1 publisher', 20_000, {
    payloadBytes: 8 * KIB,
    targets: [
      rate('warm', 'floor', 0.9),
      rate('warm', 'go', 1.15),
      rate('cold', 'go', 1),
      cpu('go', 0.7),
      written(1.15),
    ],
  }),
  load('publish-64k', '64 KiB, 1 publisher', 3_000, {
    payloadBytes: 64 * KIB,
    targets: [
      rate('warm', 'floor', 0.9),
      rate('warm', 'go', 1.05),
      rate('cold', 'go', 1),
      cpu('go', 0.7),
      written(1.15),
    ],
  }),
].map((line) => ({
  ...line,
  sides: ALL_SIDES,
  isQuick: true,
  window: Math.min(WINDOW, WINDOW_BYTES / line.payloadBytes),
}));

const TIMES_GO: Record<string, number> = {
  'publish-128': 1.3,
  'publish-1k': 1.2,
  'publish-8k': 1.15,
  'publish-64k': 1.05,
};

/** The same beside another writer. */
const BUSY: readonly LoadLine[] = SIZES.map((line) => ({
  ...line,
  id: line.id.replace('publish', 'busy'),
  title: `${line.title}, disk busy`,
  sides: BESIDE_GO,
  isQuick: false,
  isDiskBusy: true,
  targets: [rate('warm', 'go', TIMES_GO[line.id] ?? 1)],
}));

/** Slices of the Go server's channel are a quarter of this, and stanchion's journal files a thirtieth. */
const LIMIT_BYTES = 256 * MIB;

/** The steady state of a channel that has reached its limit: with each message an old one goes, and its room can be used again. */
const LIMITED: readonly LoadLine[] = SIZES.slice(1).map((line) => ({
  ...line,
  id: line.id.replace('publish', 'limit'),
  title: `${line.title}, channel at its limit`,
  sides: ['go', 'stanchion', 'overwriting'],
  isQuick: false,
  channelBytes: LIMIT_BYTES,
  targets: line.targets.filter(({ figure, beside }) => beside !== 'floor' && figure !== 'cold'),
}));

const SHAPES: readonly LoadLine[] = [
  load('deliver-1', '128 B, 1 publisher to 1 subscriber', 60_000, {
    sides: ['go', 'stanchion', 'floor'],
    subscribers: 1,
    isQuick: true,
    targets: [rate('cold', 'go', 1)],
  }),
  load('deliver-50', '128 B, 1 publisher to 50 subscribers, delivered', 2_400, {
    sides: ['go', 'stanchion', 'floor'],
    subscribers: 50,
    window: 256,
    isQuick: true,
    targets: [rate('warm', 'floor', 1), rate('cold', 'go', 1), cpu('go', 0.7)],
  }),
  load('publishers-4', '128 B, 4 publishers', 120_000, {
    sides: ['go', 'stanchion', 'floor'],
    publishers: 4,
    targets: [rate('cold', 'go', 1)],
  }),
  load('queue-4', '128 B, 4 publishers to a queue group of 4', 60_000, {
    publishers: 4,
    subscribers: 4,
    isQueue: true,
    isQuick: true,
    targets: [rate('warm', 'go', 1.5), rate('cold', 'go', 1)],
  }),
  load('channels-100', '128 B, 100 channels', 100_000, {
    sides: ['go', 'stanchion', 'floor'],
    channels: 100,
    targets: [rate('cold', 'go', 1)],
  }),
  load('channels-1000', '128 B, 1,000 channels', 100_000, {
    sides: ['go', 'stanchion', 'floor'],
    channels: 1_000,
    isQuick: true,
    targets: [rate('warm', 'floor', 0.75), rate('cold', 'go', 1), written(4)],
  }),
  // The Go server would be busy with the files of its channels for minutes.
  load('channels-10000', '128 B, 10,000 channels', 100_000, {
    sides: ['stanchion', 'floor'],
    channels: 10_000,
    window: 10_000,
    targets: [rate('warm', 'floor', 0.6)],
  }),
  load('one-in-flight', '128 B, one message in flight', 1_000, {
    sides: ['go', 'stanchion', 'floor'],
    window: 1,
    isQuick: true,
    targets: [rate('warm', 'floor', 0.9)],
  }),
];

/** As the first lines, and nothing waits: nor the broker for its first message, nor the clients until they are warm. */
const AT_ONCE: readonly LoadLine[] = SIZES.slice(0, 2).map((line) => ({
  ...line,
  id: line.id.replace('publish', 'at-once'),
  title: `${line.title}, at once`,
  sides: BESIDE_GO,
  isQuick: false,
  isAtOnce: true,
  targets: [rate('cold', 'go', 1)],
}));

const STARTS: readonly StartLine[] = [
  {
    ...COMMON,
    kind: 'start',
    id: 'start-serve',
    title: 'start on an empty store, until ready',
    command: 'serve',
    sides: BESIDE_GO,
    isQuick: true,
    targets: [{ figure: 'ms', atMost: 200 }],
  },
  {
    ...COMMON,
    kind: 'start',
    id: 'start-pub',
    title: '`stanchion pub` of one message',
    command: 'pub',
    sides: ['stanchion'],
    isQuick: true,
    targets: [{ figure: 'ms', atMost: 250 }],
  },
  {
    ...COMMON,
    kind: 'start',
    id: 'start-help',
    title: '`stanchion --help`',
    command: 'help',
    sides: ['stanchion'],
    isQuick: true,
    targets: [{ figure: 'ms', atMost: 150 }],
  },
];

const OUTAGES: readonly OutageLine[] = [
  {
    ...COMMON,
    kind: 'outage',
    id: 'outage-60000',
    title: 'kill -9 at 60,000 messages a second, until served as before',
    perSecond: 60_000,
    storedMessages: 0,
    sides: BESIDE_GO,
    targets: [{ figure: 'ms', atMost: 500 }],
  },
  {
    ...COMMON,
    kind: 'outage',
    id: 'outage-stored',
    title: 'the same at 5,000 a second, with 8,000,000 stored',
    perSecond: 5_000,
    storedMessages: 8_000_000,
    sides: BESIDE_GO,
    isCommon: false,
    maxRounds: 1,
  },
];

const RESTS: readonly RestLine[] = [
  {
    ...COMMON,
    kind: 'rest',
    id: 'rest-1',
    title: '2,000,000 messages, 1 channel',
    channels: 1,
    messages: 2_000_000,
    sides: BESIDE_GO,
    maxRounds: 1,
    targets: restBelow(150),
  },
  {
    ...COMMON,
    kind: 'rest',
    id: 'rest-1000',
    title: '2,000,000 messages, 1,000 channels',
    channels: 1_000,
    messages: 2_000_000,
    sides: ['stanchion'],
    maxRounds: 1,
    isCommon: false,
    targets: restBelow(150),
  },
  {
    ...COMMON,
    kind: 'rest',
    id: 'rest-10000',
    title: '1,000,000 messages, 10,000 channels',
    channels: 10_000,
    messages: 1_000_000,
    sides: ['stanchion'],
    maxRounds: 1,
    targets: restBelow(200),
  },
];

const OTHERS: readonly Line[] = [
  {
    ...COMMON,
    kind: 'replay',
    id: 'replay',
    title: '128 B, replay from disk by one subscriber',
    payloadBytes: 128,
    messages: 1_000_000,
    publishesPerSecond: 1_000,
    sides: BESIDE_GO,
    targets: [
      { figure: 'warm', atLeast: 250_000 },
      { figure: 'p99Ms', atMost: 20 },
    ],
  },
  {
    ...COMMON,
    kind: 'large',
    id: 'large',
    title: '1 MiB, 1 publisher, max_payload of 64 MiB',
    payloadBytes: MIB,
    messages: 600,
    window: 16,
    maxPayload: 64 * MIB,
    publishesPerSecond: 200,
    sides: BESIDE_GO,
    targets: [{ figure: 'loopP99Ms', atMost: 50 }],
  },
];

/** The memory store, beside the floors alone. */
const MEMORY: readonly LoadLine[] = [
  load('memory-publish', 'memory: 1 publisher', 250_000, {
    targets: [rate('warm', 'floor', 0.85), cpu('floor', 1.6)],
  }),
  load('memory-publishers-4', 'memory: 4 publishers', 250_000, {
    publishers: 4,
    targets: [rate('warm', 'floor', 0.85), cpu('floor', 1.6)],
  }),
  load('memory-deliver-1', 'memory: 1 publisher to 1 subscriber', 120_000, {
    subscribers: 1,
    targets: [rate('warm', 'floor', 0.85), cpu('floor', 1.6)],
  }),
  load('memory-channels-1000', 'memory: 1,000 channels', 200_000, {
    channels: 1_000,
    targets: [rate('warm', 'floor', 0.75), cpu('floor', 1.6)],
  }),
  load('memory-one-in-flight', 'memory: one message in flight', 4_000, {
    window: 1,
    targets: [rate('warm', 'floor', 0.9), cpu('floor', 1.6)],
  }),
].map(
  (line) => ({ ...line, store: 'memory', sides: ['stanchion', 'floor', 'bare'], isCommon: false }) as const,
);

/** What a group costs: both renew the lease after each sync. */
const GROUPS: readonly LoadLine[] = [
  load('group-publishers-4', '128 B, 4 publishers', 120_000, { publishers: 4 }),
  load('group-one-in-flight', '128 B, one message in flight', 1_000, { window: 1 }),
].map(
  (line) =>
    ({
      ...line,
      sides: ['stanchion', 'group'],
      subject: 'group',
      isCommon: false,
      targets: [rate('warm', 'stanchion', 0.95)],
    }) as const,
);

const CLIENTS: readonly ClientLine[] = [
  {
    ...COMMON,
    kind: 'client',
    id: 'client-publish',
    title: 'async publish',
    act: 'publish',
    messages: 300_000,
    sides: ['stanchion', 'node-nats-streaming'],
    isCommon: false,
    targets: [rate('warm', 'node-nats-streaming', 1.5)],
  },
  {
    ...COMMON,
    kind: 'client',
    id: 'client-receive',
    title: 'receive, auto ack',
    act: 'receive',
    messages: 500_000,
    sides: ['stanchion', 'node-nats-streaming'],
    isCommon: false,
    targets: [rate('warm', 'node-nats-streaming', 1.5)],
  },
];

/** All that can be measured, in the order of the tables. */
export const LINES: readonly Line[] = [
  ...SIZES,
  ...LIMITED,
  ...SHAPES,
  ...BUSY,
  ...AT_ONCE,
  ...STARTS,
  ...OUTAGES,
  ...OTHERS,
  ...RESTS,
  ...MEMORY,
  ...GROUPS,
  ...CLIENTS,
];

function restBelow(megabytes: number): Target[] {
  return [
    { figure: 'restBytes', atMost: megabytes * 1e6 },
    { figure: 'restartedBytes', atMost: megabytes * 1e6 },
  ];
}
