// The past of the Go servers' stores that are kept here: what clients did, and what the server said of it at its end.

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogLimits } from '../../../src/store/types/store.js';
import { GoServer, type GoServerWords } from '../../harness/go-server.js';
import { StanClient, type StanSubscription } from '../../harness/stan-client.js';
import { waitFor } from '../../harness/wait.js';

export const CLUSTER_ID = 'old-cluster';

/** A kind of store. */
export interface Kind {
  readonly name: string;
  /** Flags of the server beside the usual ones. */
  readonly args: readonly string[];
  /** Undefined if it is not encrypted. */
  readonly key?: string;
  /** Flags of the server that is started on the first half of the messages, if another one is. */
  readonly thenArgs?: readonly string[];
  /** Made by version 0.3.8 of 2017, which does not say what it has: the newest one says it, started on a copy. */
  readonly isOld?: boolean;
  /** How the server ends, with its clients connected. */
  readonly end: 'kill' | 'stop';
  /** Bytes of a message, about. */
  readonly messageBytes: number;
}

const KEY = 'a key that is kept with the store';

function encrypted(cipher: string): string[] {
  return ['--encrypt', '--encryption_cipher', cipher, '--encryption_key', KEY];
}

export const KINDS: readonly Kind[] = [
  { name: 'killed', args: [], end: 'kill', messageBytes: 120 },
  { name: 'stopped', args: ['--file_crc_poly', '2197175160'], end: 'stop', messageBytes: 120 },
  {
    name: 'ciphers',
    args: encrypted('AES'),
    thenArgs: encrypted('CHACHA'),
    key: KEY,
    end: 'kill',
    messageBytes: 60,
  },
  { name: 'late', args: [], thenArgs: encrypted('AES'), key: KEY, end: 'stop', messageBytes: 60 },
  { name: 'old', args: ['--file_slice_max_msgs', '25'], isOld: true, end: 'kill', messageBytes: 120 },
];

/** The same with a store in a database. A server that caches writes at its end what clients have got and acknowledged. */
export const SQL_KINDS: readonly Kind[] = [
  { name: 'tables', args: ['--sql_no_caching'], end: 'kill', messageBytes: 120 },
  { name: 'cached', args: [], end: 'stop', messageBytes: 120 },
  { name: 'sealed', args: encrypted('AES'), key: KEY, end: 'stop', messageBytes: 60 },
];

/** The limits that the servers had. */
export const LIMITS: Readonly<Record<string, LogLimits>> = {
  counted: { maxMessages: 30, maxBytes: 0, maxAgeMs: 0 },
  sized: { maxMessages: 0, maxBytes: 4000, maxAgeMs: 0 },
  aged: { maxMessages: 0, maxBytes: 0, maxAgeMs: 3000 },
};

export const NO_LIMITS: LogLimits = { maxMessages: 0, maxBytes: 0, maxAgeMs: 0 };

const CONFIG = `streaming {
  file_options { slice_max_msgs: 25 }
  store_limits {
    max_msgs: 0
    max_bytes: 0
    channels {
      counted { max_msgs: 30 }
      sized { max_bytes: 4000 }
      aged { max_age: "3s" }
      gone { max_inactivity: "1s" }
    }
  }
}
`;
/** Version 0.3.8 does not know all of these limits. */
const OLD_CONFIG = 'streaming { }\n';
const NO_ACK_WAIT_MS = 3_600_000;

/** A message as a client got it from the server. */
export interface KnownMessage {
  readonly sequence: number;
  readonly timestampMs: number;
  /** The beginning of the data's SHA-1. */
  readonly sha1: string;
}

/** What the server and its clients know of a store. */
export interface KnownStore {
  readonly words: GoServerWords;
  readonly messages: Readonly<Record<string, readonly KnownMessage[]>>;
  /** Delivered and not acknowledged, by channel and durable or group. */
  readonly pending: Readonly<Record<string, readonly number[]>>;
  /** When the server said it, milliseconds since 1970. */
  readonly atMs: number;
}

/**
 * Lets a Go server make a store in this folder, and ends it there.
 *
 * @param newest the server that says what an old one has
 */
export async function makeGoStore(
  binary: string,
  root: string,
  kind: Kind,
  newest = binary,
): Promise<KnownStore> {
  mkdirSync(root, { recursive: true });
  const config = join(root, 'stan.conf');
  writeFileSync(config, kind.isOld ? OLD_CONFIG : CONFIG);
  const dir = join(root, 'store');
  const usual = ['-cid', CLUSTER_ID, '-sc', config, '-hbi', '60s'];
  const start = (args: readonly string[]) => GoServer.start(binary, dir, [...usual, ...args]);
  let server = await start(kind.args);
  const clients: StanClient[] = [];
  try {
    const connect = async (id: string) => {
      const client = await StanClient.connect(server.url, CLUSTER_ID, id);
      clients.push(client);
      return client;
    };
    await publishFirstHalf(await connect('writer-1'), kind);
    if (kind.thenArgs !== undefined) {
      for (const client of clients.splice(0)) client.drop();
      await server.stop();
      server = await start(kind.thenArgs);
    }
    const pending = await subscribe(connect, kind);
    const writer = await connect('writer-2');
    await publishSecondHalf(writer, kind);
    if (!kind.isOld) await letLimitsWork(server, writer, kind);
    const messages = await readAll(await connect('reader'), kind);
    const words = kind.isOld ? undefined : await server.words();
    const atMs = Date.now();
    await (kind.end === 'kill' ? server.kill() : server.stop());
    return {
      words: words ?? (await wordsOnCopy(newest, dir, usual)),
      ...{ messages, pending: pendingOf(pending), atMs },
    };
  } finally {
    for (const client of clients) client.drop();
    await server.destroy();
  }
}

/** What a server says that is started on a copy of the store. */
async function wordsOnCopy(binary: string, dir: string, args: readonly string[]): Promise<GoServerWords> {
  const copy = `${dir}-copy`;
  cpSync(dir, copy, { recursive: true });
  const server = await GoServer.start(binary, copy, args);
  try {
    return await server.words();
  } finally {
    await server.destroy();
  }
}

/** A channel is deleted, and messages expire. */
async function letLimitsWork(server: GoServer, writer: StanClient, kind: Kind): Promise<void> {
  const counts = async (name: string) =>
    (await server.words()).channels.find((one) => one.name === name)?.msgs;
  await waitFor(async () => (await counts('gone')) === undefined, 'channel gone is gone');
  await waitFor(async () => (await counts('aged')) === 0, 'messages of channel aged have expired');
  await publish(writer, kind, 'aged', 31, 33);
}

function textOf(kind: Kind, channel: string, number: number): Buffer {
  // Some are empty, and some begin as encrypted ones do: where there is a key, the Go server takes those for encrypted as well.
  if (number % 20 === 7) return Buffer.alloc(0);
  const text = JSON.stringify({ channel, number, amount: number * 37 }).padEnd(
    kind.messageBytes,
    ` ${number}`,
  );
  if (number % 20 === 11 && kind.key === undefined)
    return Buffer.concat([Buffer.from([number % 3]), Buffer.from(text)]);
  return Buffer.from(text);
}

async function publish(
  client: StanClient,
  kind: Kind,
  channel: string,
  from: number,
  to: number,
): Promise<void> {
  for (let number = from; number <= to; number++)
    await client.publish(channel, textOf(kind, channel, number));
}

async function publishFirstHalf(client: StanClient, kind: Kind): Promise<void> {
  await publish(client, kind, 'orders', 1, 60);
  await publish(client, kind, 'counted', 1, 40);
  await publish(client, kind, 'sized', 1, 40);
  await publish(client, kind, 'work', 1, 20);
  if (kind.isOld) return;
  await publish(client, kind, 'gone', 1, 3);
  await publish(client, kind, 'aged', 1, 30);
}

async function publishSecondHalf(client: StanClient, kind: Kind): Promise<void> {
  await publish(client, kind, 'orders', 61, 80);
  await publish(client, kind, 'counted', 41, 60);
  await publish(client, kind, 'sized', 41, 60);
  await publish(client, kind, 'work', 21, 30);
  await publish(client, kind, 'deep.nested.name_1', 1, 3);
}

type Connect = (id: string) => Promise<StanClient>;

/** Subscriptions of every kind. @returns what they have got, by channel and durable or group, and what they acknowledged */
async function subscribe(
  connect: Connect,
  { isOld }: Kind,
): Promise<Map<string, [StanSubscription, number[]][]>> {
  const kept = new Map<string, [StanSubscription, number[]][]>();
  const take = async (
    client: StanClient,
    channel: string,
    options: { durableName?: string; queueGroup?: string; maxInFlight: number },
    acked: number[],
  ): Promise<StanSubscription> => {
    const subscription = await client.subscribe(channel, {
      ...{ all: true, manualAcks: true, ackWaitMs: NO_ACK_WAIT_MS, ...options },
    });
    const key = `${channel} ${options.durableName ?? ''}${options.queueGroup === undefined ? '' : `:${options.queueGroup}`}`;
    kept.set(key, [...(kept.get(key) ?? []), [subscription, acked]]);
    return subscription;
  };
  const ack = (subscription: StanSubscription, sequences: readonly number[]) => {
    for (const message of subscription.messages) if (sequences.includes(message.sequence)) message.ack();
  };

  const one = await connect('client-1');
  const two = await connect('client-2');
  // Online, with acks out of order.
  const online = await take(one, 'work', { durableName: 'online', maxInFlight: 10 }, [1, 2, 5, 9]);
  await online.got(10);
  ack(online, [1, 2, 5, 9]);
  await online.got(14);
  // Closed, and its client still connected; version 0.3.8 cannot do that.
  const closer = isOld ? await connect('client-5') : one;
  const closed = await take(closer, 'work', { durableName: 'closed', maxInFlight: 4 }, [2]);
  await closed.got(4);
  ack(closed, [2]);
  await closed.got(5);
  await (isOld ? closer : closed).close();
  // Its client has gone.
  const left = await connect('client-3');
  const offline = await take(left, 'orders', { durableName: 'offline', maxInFlight: 5 }, []);
  await offline.got(5);
  await left.close();
  // No durable at all: it is gone with its client, and stays with one that is connected.
  await two.subscribe('orders', { all: true, maxInFlight: 3, manualAcks: true, ackWaitMs: NO_ACK_WAIT_MS });
  await two.subscribe('quiet', { durableName: 'waits' });
  await two.subscribe('orders', {
    queueGroup: 'plain',
    maxInFlight: 2,
    manualAcks: true,
    ackWaitMs: NO_ACK_WAIT_MS,
  });
  // A durable group with two members.
  await take(one, 'work', { durableName: 'both', queueGroup: 'group', maxInFlight: 3 }, []);
  await take(two, 'work', { durableName: 'both', queueGroup: 'group', maxInFlight: 3 }, []);
  await waitFor(
    () => (kept.get('work both:group') ?? []).every(([{ messages }]) => messages.length === 3),
    'both members have 3 messages',
  );
  // A durable group whose last member has gone.
  const last = await connect('client-4');
  const shadow = await take(last, 'work', { durableName: 'gone', queueGroup: 'group', maxInFlight: 6 }, [3]);
  await shadow.got(6);
  ack(shadow, [3]);
  await shadow.got(7);
  await last.close();
  return kept;
}

function pendingOf(kept: Map<string, [StanSubscription, number[]][]>): Record<string, number[]> {
  const pending: Record<string, number[]> = {};
  for (const [key, subscriptions] of kept)
    pending[key] = subscriptions
      .flatMap(([{ sequences }, acked]) => sequences.filter((sequence) => !acked.includes(sequence)))
      .sort((a, b) => a - b);
  return pending;
}

/** The newest message of each channel that has any. */
function channelsOf({ isOld }: Kind): [name: string, last: number][] {
  const all: [string, number][] = [
    ['orders', 80],
    ['counted', 60],
    ['sized', 60],
    ['work', 30],
    ['deep.nested.name_1', 3],
  ];
  return isOld ? all : [...all, ['aged', 33]];
}

/** What a client gets that begins with the oldest message of each channel. */
async function readAll(client: StanClient, kind: Kind): Promise<Record<string, KnownMessage[]>> {
  const messages: Record<string, KnownMessage[]> = {};
  for (const [name, last] of channelsOf(kind)) {
    const known: KnownMessage[] = [];
    const subscription = await client.subscribe(name, {
      all: true,
      maxInFlight: 100,
      onMessage: ({ sequence, timestampMs, data }) => known.push({ sequence, timestampMs, sha1: sha1(data) }),
    });
    await waitFor(() => known.at(-1)?.sequence === last, `the reader has ${name} up to ${last}`);
    await subscription.unsubscribe();
    messages[name] = known;
  }
  await client.close();
  return messages;
}

export function sha1(data: Buffer | string): string {
  return createHash('sha1').update(data).digest('hex').slice(0, 12);
}
