import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect as connectNats } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import { connect, type StanConnection } from '../../src/index.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { silentLogger } from '../../src/log/logger.js';
import { Child } from '../harness/child.js';
import { freePort, freePorts } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';
import { findTool, needs } from './tools.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLUSTER_ID = 'watched';
const LONG_MS = 60_000;
const TOOLS = needs('prometheus', "Debian's package prometheus");

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}

interface Answer {
  status: string;
  error?: string;
  data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
}

describe('Prometheus, watching a group through a takeover', TOOLS, () => {
  const panels = (
    JSON.parse(readFileSync(join(ROOT, 'deploy', 'grafana', 'stanchion.json'), 'utf8')) as {
      panels: Panel[];
    }
  ).panels.filter(({ type }) => type !== 'row');
  let folder: string;
  let group: LocalGroup;
  let prometheus: Child;
  let url: string;
  const connections: StanConnection[] = [];
  let isStopping = false;
  let publishing: Promise<void> = Promise.resolve();

  before(async () => {
    if (TOOLS.skip !== false) return;
    folder = mkdtempSync(join(tmpdir(), 'stanchion-prometheus-'));
    const httpPort = await freePorts(3);
    group = await LocalGroup.start({
      nodes: 3,
      dir: join(folder, 'store'),
      port: 0,
      httpPort,
      clusterId: CLUSTER_ID,
      group: 'g',
      flags: ['--log-level', 'warn'],
      log: silentLogger,
      onLine: () => {},
    });
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    prometheus = startPrometheus(
      folder,
      port,
      [0, 1, 2].map((i) => `127.0.0.1:${httpPort + i}`),
    );
    await work();
  });

  after(async () => {
    isStopping = true;
    await publishing;
    for (const connection of connections) await connection.close().catch(() => {});
    await prometheus?.destroy();
    await group?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** Publishes and receives, kills the active, and goes on. */
  async function work(): Promise<void> {
    const nats = await connectNats({ servers: group.urls });
    const active = async (above: number): Promise<{ pid: number; epoch: number }> => {
      let found: { pid: number; epoch: number } | undefined;
      await waitFor(
        async () => {
          const all = await askStatus(nats, CLUSTER_ID, 'g');
          found = all.find(({ role, epoch }) => role === 'active' && epoch > above);
          return found !== undefined;
        },
        'a member is active',
        LONG_MS,
      );
      return found!;
    };
    const first = await active(0);
    const connection = await connect({
      servers: group.urls,
      clusterId: CLUSTER_ID,
      clientId: 'load',
      connectTimeout: 10_000,
    });
    connections.push(connection);
    await connection.subscribe('orders', { durable: 'ledger', startAt: 'all', callback: () => {} });
    publishing = (async () => {
      while (!isStopping) {
        await connection.publish('orders', 'x'.repeat(100)).catch(() => {});
        // The pace of the load.
        await sleep(2);
      }
    })();
    await waitFor(
      async () => (await value('sum(stanchion_received_messages_total)')) > 100,
      'a first scrape',
      LONG_MS,
    );
    const before = 'min_over_time(max(stanchion_epoch > 0)[10m:5s])';
    await waitFor(async () => (await value(before)) > 0, 'the epoch before it is known', LONG_MS);
    process.kill(first.pid, 'SIGKILL');
    await active(first.epoch);
    // Something that is no message, for the metric that tells of such.
    nats.publish(`_STAN.pub.${CLUSTER_ID}.orders`, Buffer.from('no protobuf'));
    await nats.flush();
    await nats.close();
    await waitFor(async () => (await value('sum(stanchion_bad_input_total)')) > 0, 'it is counted', LONG_MS);
    // A rate needs two scrapes of what has moved.
    await waitFor(async () => (await value('sum(rate(stanchion_acks_total[30s]))')) > 0, 'rates', LONG_MS);
  }

  async function query(expression: string): Promise<Answer> {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`).catch(
      () => undefined,
    );
    return response === undefined ? { status: 'gone' } : ((await response.json()) as Answer);
  }

  async function value(expression: string): Promise<number> {
    return Number((await query(expression)).data?.result[0]?.value[1] ?? Number.NaN);
  }

  it('scrapes all members', async () => {
    assert.equal(await value('count(up{job="stanchion"})'), 3);
  });

  for (const { title, targets = [] } of panels) {
    it(`has data for Grafana's panel "${title}"`, async () => {
      assert.ok(targets.length > 0);
      for (const { expr } of targets) {
        const expression = expr.replaceAll(/\$(namespace|job)/g, '.*').replaceAll('$__rate_interval', '30s');
        let answer: Answer = { status: '' };
        await waitFor(
          async () => {
            answer = await query(expression);
            return (answer.data?.result.length ?? 0) > 0;
          },
          () => `data for ${expression}: ${JSON.stringify(answer)}`,
        );
      }
    });
  }

  it('has no rule that cannot be evaluated, and sees the takeover', async () => {
    const response = await fetch(`${url}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const rules = data.groups.flatMap((each) => each.rules);
    assert.ok(rules.length > 10);
    assert.deepEqual(
      rules.filter(({ health }) => health === 'err').map(({ name, lastError }) => `${name}: ${lastError}`),
      [],
    );
    await waitFor(
      async () => (await value('count(ALERTS{alertname="StanchionTakeover"})')) > 0,
      'the alert',
      LONG_MS,
    );
    assert.ok(!((await value('count(ALERTS{alertname="StanchionTwoActives", alertstate="firing"})')) > 0));
  });
});

function startPrometheus(folder: string, port: number, targets: readonly string[]): Child {
  const config = join(folder, 'prometheus.yml');
  const rules = join(ROOT, 'helm', 'stanchion', 'files', 'stanchion.rules.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'stanchion', static_configs: [{ targets }] }],
    }),
  );
  return new Child(findTool('prometheus')!, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
}
