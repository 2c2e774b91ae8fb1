import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';
import { get, httpRig } from '../http/http-rig.js';
import { findTool, needs } from './tools.js';

const PROMTOOL = needs('promtool', "Debian's package prometheus");
/** Names and types that others made: of the former exporter of NATS, and of prom-client. Dashboards have them. */
const OF_OTHERS = /^(nss_(server|chan)_\w+|nodejs_active_(handles|requests|resources)_total) /;

describe('promtool check metrics', PROMTOOL, () => {
  const rig = httpRig({ store: 'file', broker: false });
  let active: Broker;
  let standby: Broker;

  before(async () => {
    if (PROMTOOL.skip !== false) return;
    const flags = ['--http-port', '-1', '--ft-group', 'g', '--max-age', '1h', '--node-name'];
    const member = { clusterId: 'c', dir: rig.folder() };
    active = await rig.startBroker({ ...member, flags: [...flags, 'a'] });
    standby = await rig.startBroker({ ...member, flags: [...flags, 'b'] });
    const client = await rig.connect('client', { broker: active });
    const durable = await client.subscribe('orders', { durableName: 'ledger', all: true });
    await client.subscribe('orders', { queueGroup: 'workers', durableName: 'crew', all: true });
    await client.publishMany('orders', 20);
    await durable.got(20);
    const hasConsumers = async (): Promise<boolean> =>
      /^stanchion_consumer_lag_messages/m.test((await get(active, '/metrics')).text);
    await waitFor(hasConsumers, 'there are series of durables');
  });

  for (const role of ['active', 'standby'] as const) {
    it(`has nothing against the metrics of ${role === 'active' ? 'an active' : 'a standby'}`, async () => {
      const { text } = await get(role === 'active' ? active : standby, '/metrics');
      assert.ok(text.includes(`stanchion_role{role="${role}"} 1`), text);
      const { stdout, stderr, error } = spawnSync(findTool('promtool')!, ['check', 'metrics'], {
        input: text,
        encoding: 'utf8',
      });
      assert.equal(error, undefined);
      const said = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
      // It is the program itself that spoke, and of what it always finds.
      assert.ok(
        said.includes('nss_server_clients counter metrics should have "_total" suffix'),
        said.join('\n'),
      );
      assert.deepEqual(
        said.filter((line) => !OF_OTHERS.test(line)),
        [],
      );
    });
  }
});
