import type {
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceClient,
  SourceProblem,
  SourceState,
  SourceSubjects,
  SourceSubscription,
} from '../../src/import/types/source.js';

/** A message of a made-up source. */
export interface MadeUpMessage {
  sequence: number;
  data: Buffer;
  timestampNs: bigint;
  reply?: string;
}

export interface MadeUpChannel {
  name: string;
  firstSequence: number;
  lastSequence: number;
  messages: Iterable<MadeUpMessage>;
  subscriptions?: SourceSubscription[];
}

/** An import source in memory. */
export class MadeUpSource implements ImportSource {
  readonly name = 'made up';
  readonly problems: SourceProblem[] = [];
  /** Those of the cluster id. */
  subjects: SourceSubjects | undefined;
  readonly #channels: readonly MadeUpChannel[];
  readonly #clients: SourceClient[];
  /** Called with each message before it is handed on. */
  onMessage: (message: MadeUpMessage) => void | Promise<void> = () => {};

  constructor(channels: readonly MadeUpChannel[], clients: SourceClient[] = []) {
    this.#channels = channels;
    this.#clients = clients;
  }

  async open(): Promise<SourceState> {
    const channels = this.#channels.map(({ name, firstSequence, lastSequence, subscriptions = [] }) => ({
      ...{ name, firstSequence, lastSequence, subscriptions },
      messages: Math.max(0, lastSequence - firstSequence + 1),
    }));
    return { clusterId: 'test-cluster', subjects: this.subjects, clients: this.#clients, channels };
  }

  async read({ name }: SourceChannel, sink: MessageSink): Promise<void> {
    const channel = this.#channels.find((candidate) => candidate.name === name);
    for (const message of channel?.messages ?? []) {
      await this.onMessage(message);
      const bytes = msgProto(name, message);
      sink.message(bytes, 0, bytes.length, message.sequence, Number(message.timestampNs / 1_000_000n));
      if (sink.isFull) await sink.drain();
    }
    await sink.drain();
  }

  async close(): Promise<void> {}
}

/** As the Go server stores it. */
export function msgProto(channel: string, { sequence, data, timestampNs, reply }: MadeUpMessage): Buffer {
  const parts = [Buffer.from([8]), varint(BigInt(sequence)), field(18, Buffer.from(channel))];
  if (reply !== undefined) parts.push(field(26, Buffer.from(reply)));
  if (data.length > 0) parts.push(field(34, data));
  parts.push(Buffer.from([40]), varint(timestampNs));
  return Buffer.concat(parts);
}

function field(tag: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), varint(BigInt(bytes.length)), bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** Messages of consecutive sequences, a millisecond and a bit from each other. */
export function* messages(first: number, last: number, text = 'message'): IterableIterator<MadeUpMessage> {
  for (let sequence = first; sequence <= last; sequence++)
    yield {
      sequence,
      data: Buffer.from(`${text} ${sequence}`),
      timestampNs: 1_600_000_000_000_000_007n + BigInt(sequence) * 1_000_123n,
    };
}

/** A subscription of a made-up source. */
export function subscription(changes: Partial<SourceSubscription>): SourceSubscription {
  return {
    ...{ clientId: 'me', inbox: '_INBOX.inbox', ackInbox: '_INBOX.ack', queueGroup: '', durableName: '' },
    ...{ isDurable: false, isOnline: true, maxInFlight: 10, ackWaitSeconds: 30, lastSent: 0, pending: [] },
    ...changes,
  };
}

export function client(clientId: string): SourceClient {
  return {
    ...{ clientId, heartbeatInbox: `_INBOX.heartbeat-${clientId}`, connId: Buffer.from(`conn-${clientId}`) },
    ...{ protocol: 1, pingIntervalSeconds: 5, pingMaxOut: 3 },
  };
}
