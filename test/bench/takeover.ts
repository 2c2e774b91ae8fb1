/**
 * How long clients wait in a takeover, by how many clients there are, each with a durable.
 *
 *   npm run build && node --import tsx test/bench/takeover.ts [--clients 5000] [--channels 100] [--rounds 5] [--dir DIR]
 *
 * A local group of two (the build in dist); its active is killed again and again, while a publisher with one message in flight looks for the
 * longest time without an ack. Prints that, and the takeover as the new active tells it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { keyOf } from '../../src/cli/group-key-flags.js';
import { Publisher } from '../../src/drill/drill-publisher.js';
import { Ledger } from '../../src/drill/ledger.js';
import { Outage } from '../../src/drill/outage.js';
import { StanClient } from '../../src/drill/stan-client.js';
import { GroupView, wholeGroup } from '../../src/drill/watched-group.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { createLogger } from '../../src/log/logger.js';
import { descriptorOutput } from '../../src/log/output.js';
import { StartPosition } from '../../src/protocol/messages.js';
import { addClients } from './many-clients.js';

const GROUP = 'takeover';
const MEMBERS = 2;
const WAIT_MS = 60_000;
/** For what was stored to be in a checkpoint, and the group to be at rest. */
const SETTLE_MS = 3_000;
const TICK_MS = 5;
const STDERR = 2;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '5000' },
    channels: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: os.tmpdir() },
  },
});
const dir = mkdtempSync(join(values.dir, 'stanchion-takeover-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
const group = await LocalGroup.start({
  nodes: MEMBERS,
  dir,
  port: 0,
  httpPort: undefined,
  clusterId: GROUP,
  group: GROUP,
  flags: ['--log-format', 'json', '--max-channels', '0', '--max-subs', '0'],
  log: await createLogger({ level: 'warn', format: 'pretty', output: descriptorOutput(STDERR) }),
  onLine: () => {},
});
const nats = await connect({ servers: group.urls, maxReconnectAttempts: -1 });
try {
  const view = new GroupView(nats, GROUP, GROUP, () => keyOf(dir, GROUP));
  const never = new AbortController().signal;
  const whole = (afterEpoch: number): Promise<MemberStatus> =>
    view.until(
      'a whole group',
      (members) => {
        const active = wholeGroup(members, MEMBERS);
        return active !== undefined && active.epoch > afterEpoch ? active : undefined;
      },
      WAIT_MS,
      never,
    );
  let active = await whole(0);
  const channels = Number(values.channels);
  await addClients(nats, {
    clusterId: GROUP,
    count: Number(values.clients),
    subscriptions: (i) => [
      {
        subject: `bench.${i % channels}`,
        durableName: 'durable',
        maxInFlight: 1_024,
        ackWaitSeconds: 30,
        startPosition: StartPosition.NEW_ONLY,
      },
    ],
  });
  const client = await StanClient.connect({
    nats: { servers: group.urls },
    clusterId: GROUP,
    clientId: 'probe',
  });
  const outage = new Outage(performance.now());
  const ledger = new Ledger('probe', 1);
  const probe = new Publisher({
    ...{ client, channel: 'probe', run: 'takeover00', ledger, window: 1, retryMs: 100 },
    ackTimeoutMs: Number.POSITIVE_INFINITY,
    onAck: (nowMs) => outage.ack(nowMs),
  });
  const ticking = setInterval(() => {
    if (probe.isIdle) probe.send(1, performance.now());
    probe.tick(performance.now());
  }, TICK_MS);

  const rows: { outageMs: number; tookMs: number; recoveryMs: number }[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    await sleep(SETTLE_MS);
    outage.begin();
    process.kill(active.pid, 'SIGKILL');
    active = await whole(active.epoch);
    const told = active.lastTakeover;
    if (told === null) throw new Error('the new active tells of no takeover');
    const { tookMs, recoveryMs, found } = told;
    rows.push({ outageMs: outage.longestMs(performance.now()), tookMs, recoveryMs });
    console.log(
      `${found.clients} clients, ${found.subscriptions} subscriptions: ${Math.round(rows.at(-1)?.outageMs ?? 0)} ms without an ack; ` +
        `takeover ${Math.round(tookMs)} ms, of which recovery ${Math.round(recoveryMs)} ms: ${JSON.stringify(told.parts)}`,
    );
  }
  clearInterval(ticking);
  const of = (key: 'outageMs' | 'tookMs' | 'recoveryMs'): string =>
    `${Math.round(median(rows.map((row) => row[key])))} (max ${Math.round(Math.max(...rows.map((row) => row[key])))})`;
  console.log(
    `median of ${rows.length}: ${of('outageMs')} ms without an ack, takeover ${of('tookMs')}, recovery ${of('recoveryMs')}; load average ${os.loadavg()[0]?.toFixed(1)}`,
  );
  await client.close();
} finally {
  await group.stop();
  await nats.close();
}
