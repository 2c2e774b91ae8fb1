import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/index.js';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/migrate.md', import.meta.url)), 'utf8');
const FOLLOW = /^ *\$ stanchion (import .* --follow)$/m.exec(PAGE)?.[1];
const BACK = /^(stanchion sub orders .*) \| jq -r \.data \| stanchion pub orders/m.exec(PAGE)?.[1];
const COUNT = 300;
/** Of a durable that has been sent 210. */
const PENDING = [7, 100, 203, 204, 205, 206, 207, 208, 209, 210];

describe('a move by the protocol, as docs/migrate.md says', () => {
  const from = new Rig({ store: 'memory', broker: false });
  const to = new Rig({ store: 'file', broker: false });
  let monitor = '';

  before(async () => {
    const port = await freePort();
    monitor = `http://127.0.0.1:${port}`;
    const flags = ['--max-msgs', String(COUNT - 4), '--http-port', String(port), '--http-addr', '127.0.0.1'];
    await from.startBroker({ clusterId: 'test-cluster', flags });
  });

  const billing = (rig: Rig) =>
    connect({ servers: rig.nats.url, clusterId: 'test-cluster', clientId: 'billing' });

  async function publish(rig: Rig, channel: string, first: number, last: number): Promise<void> {
    const connection = await connect({ servers: rig.nats.url, clusterId: 'test-cluster', clientId: 'shop' });
    for (let number = first; number <= last; number++) await connection.publish(channel, `order ${number}`);
    await connection.close();
  }

  /** Reads by the durable until 210 is sent, and leaves what is to be pending. */
  async function leavePending(): Promise<void> {
    const connection = await billing(from);
    let sent = 0;
    await connection.subscribe('orders', {
      durable: 'ledger',
      startAt: 'all',
      manualAck: true,
      maxInFlight: PENDING.length,
      callback: (_error, message) => {
        if (!PENDING.includes(message.sequence)) message.ack();
        sent = message.sequence;
      },
    });
    await waitFor(() => sent === Math.max(...PENDING), 'it has been sent the last of them');
    await connection.close();
  }

  it('loses nothing that was published or that a durable had not acknowledged, and the way back has what came since', async () => {
    assert.ok(FOLLOW !== undefined && BACK !== undefined, 'the page has the commands');
    await publish(from, 'orders', 1, COUNT);
    const dir = join(to.folder(), 'store');
    const places = new Map([
      ['nats://127.0.0.1:4222', from.nats.url],
      ['http://127.0.0.1:8222', monitor],
      ['store', dir],
    ]);
    const args = FOLLOW.split(' ').map((arg) => places.get(arg) ?? arg);
    const following = new Child(process.execPath, [...(await mainScript()), ...args]);
    await waitFor(
      () => following.output.includes('following: stop the publishers'),
      () => following.output,
    );
    await leavePending();
    await publish(from, 'payments', 1, 20);
    assert.deepEqual(await following.end('SIGINT'), { code: 0, signal: null }, following.output);
    assert.match(following.output, /^orders +5 +300 +296$/m);
    assert.match(following.output, /^payments +1 +20 +20$/m);
    assert.match(
      following.output,
      /durable ledger of client billing on orders: goes on behind 210, and gets its 10 pending messages again/,
    );

    const broker = await to.startBroker({ clusterId: 'test-cluster', dir });
    const connection = await billing(to);
    const read: number[] = [];
    // Its code says something else, as it may for a durable that is there.
    const messages = await connection.subscribe('orders', { durable: 'ledger', startAt: 'new' });
    for await (const message of messages) {
      assert.equal(message.string(), `order ${message.sequence}`);
      read.push(message.sequence);
      if (message.sequence === COUNT) break;
    }
    assert.deepEqual(read, [...PENDING, ...Array.from({ length: COUNT - 210 }, (_, i) => i + 211)]);
    await connection.close();

    await publish(to, 'orders', COUNT + 1, COUNT + 2);
    const since = BACK.split(' ')
      .slice(1)
      .map((arg) => (arg === 'nats://127.0.0.1:4222' ? broker.settings.natsUrl : arg))
      .map((arg) => (arg === '20101' ? String(COUNT + 1) : arg));
    const reading = new Child(process.execPath, [...(await mainScript()), ...since]);
    await reading.exit;
    const texts = reading.output
      .trim()
      .split('\n')
      .map((line): string => JSON.parse(line).data);
    assert.deepEqual(texts, [`order ${COUNT + 1}`, `order ${COUNT + 2}`]);
  });
});
