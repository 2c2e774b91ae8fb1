/**
 * What a scrape of /metrics takes with many channels, and what it does to publishers meanwhile.
 *
 *   node --import tsx test/bench/scrape.ts [--channels 10000] [--durables 2000] [--scrapes 10] [--shown N]
 *
 * A real broker with the memory store, all channels shown unless `--shown` says otherwise. One publisher waits for each ack; its longest wait is printed
 * without scrapes, and with them.
 */
import { parseArgs } from 'node:util';
import { Broker } from '../harness/broker.js';
import { NatsServer } from '../harness/nats-server.js';
import { StanClient } from '../harness/stan-client.js';
import { urlOf } from '../http/http-rig.js';
import { inGroups } from './many-clients.js';

const { values } = parseArgs({
  options: {
    channels: { type: 'string', default: '10000' },
    durables: { type: 'string', default: '2000' },
    scrapes: { type: 'string', default: '10' },
    shown: { type: 'string' },
  },
});
const channels = Number(values.channels);
const durables = Number(values.durables);
const scrapes = Number(values.scrapes);

/** Publishes one after the other until `work` has ended. @returns how many, and the longest wait for an ack, ms */
async function publishDuring(
  client: StanClient,
  work: Promise<unknown>,
): Promise<{ count: number; longestMs: number }> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  let count = 0;
  let longestMs = 0;
  while (!isOver) {
    const begunMs = performance.now();
    await client.publish('load', 'x'.repeat(128));
    longestMs = Math.max(longestMs, performance.now() - begunMs);
    count++;
  }
  await ended;
  return { count, longestMs };
}

const nats = await NatsServer.start();
const flags = [
  '--http-port',
  '-1',
  '--max-channels',
  '0',
  '--metrics-max-channels',
  values.shown ?? String(channels + 1),
];
const broker = await Broker.start({ natsUrl: nats.url, clusterId: 'bench', store: 'memory', flags });
const client = await StanClient.connect(nats.url, 'bench', 'bench');
try {
  await inGroups(channels, (i) => client.publish(`channel.${i}`, 'x'));
  await inGroups(durables, (i) =>
    client.subscribe(`channel.${i % channels}`, { durableName: `durable-${i}`, all: true }),
  );
  const tookMs: number[] = [];
  let bytes = 0;
  let lines = 0;
  const scrape = async (): Promise<void> => {
    const begunMs = performance.now();
    const text = await (await fetch(`${urlOf(broker)}/metrics`)).text();
    tookMs.push(performance.now() - begunMs);
    bytes = text.length;
    lines = text.split('\n').length;
  };
  await scrape();
  tookMs.length = 0;
  const idle = await publishDuring(client, new Promise((resolve) => setTimeout(resolve, 2_000)));
  const busy = await publishDuring(
    client,
    (async () => {
      for (let i = 0; i < scrapes; i++) await scrape();
    })(),
  );
  tookMs.sort((a, b) => a - b);
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  console.log(`${channels} channels, ${durables} durables: ${lines} lines, ${(bytes / 1e6).toFixed(1)} MB`);
  console.log(`a scrape: ${ms(tookMs[tookMs.length >> 1]!)} (median), ${ms(tookMs.at(-1)!)} (longest)`);
  console.log(
    `longest wait for an ack: ${ms(idle.longestMs)} without scrapes, ${ms(busy.longestMs)} during them`,
  );
} finally {
  await client.close().catch(() => {});
  await broker.destroy();
  await nats.stop();
}
