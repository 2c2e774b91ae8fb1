/**
 * How long due work of a broker waits while large messages flow through it, and how much memory it takes.
 *
 *   npm run build && node --import tsx test/bench/large-messages.ts [--mib 1] [--seconds 15] [--in-flight 16] [--subscribers 1] [--dir DIR]
 *
 * A real nats-server with max_payload 64 MB, a broker with the file store, one publisher, and subscribers that get everything. Prints the delay
 * of the broker's event loop by the clock, which counts what else the machine does, and its longest turn by its thread's CPU time.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { StartPosition } from '../../src/protocol/messages.js';
import { Broker } from '../harness/broker.js';
import { NatsServer } from '../harness/nats-server.js';
import { RawClient } from '../harness/raw-client.js';
import { takeTurns, turnWatch } from './turn-watch.js';

const MIB = 1024 * 1024;
const MAX_PAYLOAD_BYTES = 64 * MIB;
const CHANNEL = 'large';
const CLUSTER = 'large';
const MESSAGES_IN_FLIGHT = 16;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '15' },
    'in-flight': { type: 'string', default: '16' },
    subscribers: { type: 'string', default: '1' },
    dir: { type: 'string', default: os.tmpdir() },
  },
});
const seconds = Number(values.seconds);
const bytes = Math.min(Number(values.mib) * MIB, MAX_PAYLOAD_BYTES) - 1024;
const dir = mkdtempSync(join(values.dir, 'stanchion-large-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

function resident(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'latin1'),
  );
  return Math.round(Number(match?.[1] ?? Number.NaN) / 1024);
}

const nats = await NatsServer.start({ config: `max_payload: ${MAX_PAYLOAD_BYTES}\n`, dir });
const turnSocket = join(dir, 'turns');
const broker = await Broker.start({
  natsUrl: nats.url,
  clusterId: CLUSTER,
  store: 'file',
  dir: join(dir, 'store'),
  flags: ['--max-msgs', '200', '--max-bytes', '0'],
  environment: { NODE_OPTIONS: `--import=${turnWatch(turnSocket)}` },
});
try {
  const before = resident(broker.pid, 'VmRSS');
  const publisher = await RawClient.open(nats.url, CLUSTER);
  await publisher.join('publisher');
  const clients = [publisher];
  const drains: NodeJS.Timeout[] = [];
  let delivered = 0;
  for (let i = 0; i < Number(values.subscribers); i++) {
    const clientId = `subscriber-${i}`;
    const client = await RawClient.open(nats.url, CLUSTER);
    clients.push(client);
    await client.join(clientId);
    const start = { startPosition: StartPosition.NEW_ONLY, maxInFlight: MESSAGES_IN_FLIGHT };
    const subscription = await client.subscribe({ clientId, subject: CHANNEL, ...start });
    const drain = (): void => {
      for (const { sequence } of subscription.messages.splice(0)) {
        delivered++;
        client.ack(subscription.response.ackInbox, CHANNEL, sequence);
      }
    };
    drains.push(setInterval(drain, 1));
  }
  const data = Buffer.alloc(bytes, 'x');
  const endMs = performance.now() + seconds * 1_000;
  let published = 0;
  const publish = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const { error } = await publisher.publish({ clientId: 'publisher', subject: CHANNEL, data });
      if (error !== '') throw new Error(error);
      published++;
    }
  };
  await takeTurns(turnSocket);
  await Promise.all(Array.from({ length: Number(values['in-flight']) }, publish));
  const { p99Ms, longestMs, longestCpuMs } = await takeTurns(turnSocket);
  const load = os.loadavg()[0]?.toFixed(1);
  process.stdout.write(
    `${published} messages of ${values.mib} MiB published in ${seconds} s, ${delivered} delivered; load average ${load}\n` +
      `event-loop delay: p99 ${p99Ms.toFixed(1)} ms; longest turn: ${longestMs.toFixed(1)} ms, ${longestCpuMs.toFixed(1)} ms of CPU time\n` +
      `memory: ${before} MB before, ${resident(broker.pid, 'VmHWM')} MB at most\n`,
  );
  for (const timer of drains) clearInterval(timer);
  for (const client of clients) await client.drop();
} finally {
  await broker.destroy();
  await nats.stop();
}
process.exit();
