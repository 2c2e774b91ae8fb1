/**
 * Takeovers that nobody asked for, under full load.
 *
 *   node --import tsx test/bench/soak.ts [--minutes 10] [--members 3] [--lease 600ms] [--dir DIR]
 *
 * A group of brokers (the build in dist) with four publishers that send as fast as they get acks, and a subscriber. Looks at
 * the lease's name all the time, and prints how old a renewal got, and how long the active's event loop stood still. Exit
 * code 1 if there was a takeover.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseLeaseFileName } from '../../src/lease/lease-state.js';
import { freePort } from '../harness/free-ports.js';
import { Child } from './child.js';
import { channelNames } from './lines/line.js';
import type { LoadSpec } from './load/spec.js';
import { compile, runLoad, startNatsServer } from './programs.js';

const CLUSTER_ID = 'soak';
const START_MS = 30_000;
const LOOK_MS = 5;
const TELL_MS = 10_000;
const ROUND_SECONDS = 20;
/** So that the disk does not fill, and files come and go. */
const MAX_BYTES = '200MB';
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** How old renewals got, as the lease's name shows it. */
class RenewalAges {
  readonly epochs = new Set<number>();
  renewals = 0;
  maxMs = 0;
  /** Of those too, since whoever does not look sees no renewal. */
  maxLookMs = 0;
  readonly #dir: string;
  #name = '';
  #sinceMs = performance.now();
  #lookedMs = performance.now();

  constructor(dir: string) {
    this.#dir = dir;
  }

  look(): void {
    const nowMs = performance.now();
    this.maxLookMs = Math.max(this.maxLookMs, nowMs - this.#lookedMs);
    this.#lookedMs = nowMs;
    const name = readdirSync(this.#dir).find((entry) => parseLeaseFileName(entry) !== undefined);
    // A listing in the middle of a rename shows none.
    if (name === undefined) return;
    this.maxMs = Math.max(this.maxMs, nowMs - this.#sinceMs);
    if (name === this.#name) return;
    const [before, state] = [parseLeaseFileName(this.#name), parseLeaseFileName(name)!];
    this.renewals += before?.epoch === state.epoch ? state.counter - before.counter : 1;
    this.epochs.add(state.epoch);
    this.#name = name;
    this.#sinceMs = nowMs;
  }
}

async function loopDelayMs(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const match = /^stanchion_event_loop_delay_seconds\{quantile="1"\} (\S+)$/m.exec(text);
  return Number(match?.[1]) * 1_000;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    members: { type: 'string', default: '3' },
    lease: { type: 'string', default: '600ms' },
    dir: { type: 'string', default: os.tmpdir() },
  },
});

compile();
const dir = mkdtempSync(join(values.dir, 'stanchion-soak-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
const store = join(dir, 'store');
const nats = await startNatsServer();
const members: Child[] = [];
const httpPorts: number[] = [];
for (let i = 0; i < Number(values.members); i++) {
  const httpPort = await freePort();
  const flags = {
    'nats-server': `nats://127.0.0.1:${nats.port}`,
    'cluster-id': CLUSTER_ID,
    'ft-group': 'soak',
    'ft-lease': values.lease,
    'node-name': `m${i}`,
    'http-port': `${httpPort}`,
    'max-msgs': '0',
    'max-bytes': MAX_BYTES,
    store: 'file',
    dir: store,
  };
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const member = new Child(`member ${i}`, process.execPath, [main, 'serve', ...argv]);
  members.push(member);
  httpPorts.push(httpPort);
  await member.matching(i === 0 ? /Streaming Server is ready/ : /Standby: watching/, START_MS);
}

const ages = new RenewalAges(join(store, 'lease'));
const looking = setInterval(() => ages.look(), LOOK_MS);
const endMs = performance.now() + Number(values.minutes) * 60_000;
let messages = 0;
let seconds = 0;
let delayMs = 0;

async function load(): Promise<void> {
  for (let round = 1; performance.now() < endMs; round++) {
    const spec: LoadSpec = {
      natsPort: nats.port,
      clusterId: CLUSTER_ID,
      runId: `${process.pid.toString(36)}x${round.toString(36)}`,
      publishers: 4,
      subscribers: 1,
      isQueue: false,
      isReplay: false,
      channels: channelNames(1),
      payloadBytes: 128,
      window: 4_000,
      maxInFlight: 8_192,
      maxLag: 32_768,
      coldMessages: 0,
      warmMessages: Number.MAX_SAFE_INTEGER,
      maxSeconds: Math.max(1, Math.min(ROUND_SECONDS, (endMs - performance.now()) / 1_000)),
      targetPid: members[0]!.pid,
      natsPid: nats.child.pid,
    };
    const result = await runLoad(spec);
    messages += result.totalMessages;
    seconds += result.warm?.seconds ?? 0;
  }
}

function told(): string {
  return (
    `${Math.round(seconds)} s of load, ${messages.toLocaleString('en-US')} messages, ` +
    `${ages.renewals.toLocaleString('en-US')} renewals, ${ages.epochs.size - 1} takeovers; oldest renewal ${Math.round(ages.maxMs)} ms ` +
    `(looks at most ${Math.round(ages.maxLookMs)} ms apart), longest event loop delay ${Math.round(delayMs)} ms, ` +
    `load average ${os.loadavg()[0]!.toFixed(1)}`
  );
}

try {
  let isLoading = true;
  const loading = load().finally(() => {
    isLoading = false;
  });
  for (let tellMs = performance.now(); isLoading; ) {
    await Promise.race([loading, sleep(1_000)]);
    delayMs = Math.max(delayMs, await loopDelayMs(httpPorts[0]!));
    if (performance.now() - tellMs < TELL_MS) continue;
    tellMs = performance.now();
    console.error(told());
  }
  console.log(told());
  if (ages.epochs.size > 1) process.exitCode = 1;
} finally {
  clearInterval(looking);
  for (const member of members) await member.stop();
  await nats.child.stop();
}
