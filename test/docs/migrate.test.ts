import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/index.js';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs', 'migrate.md'), 'utf8');
const COMMANDS = [...PAGE.matchAll(/^ *stanchion sub (.+) < \/dev\/null$/gm)].map(([, args = '']) =>
  args.split(' '),
);
const OLD_URL = 'nats://127.0.0.1:14222';
const NEW_URL = 'nats://127.0.0.1:4222';
const COUNT = 300;
const FIRST = 5;
/** Of a durable that has been sent 210. */
const PENDING = [7, 100, 203, 204, 205, 206, 207, 208, 209, 210];

describe('a move as docs/migrate.md says', () => {
  const from = new Rig({ store: 'memory', broker: false });
  const to = new Rig({ store: 'memory', broker: false });

  before(async () => {
    const flags = ['--max-msgs', String(COUNT - FIRST + 1)];
    await from.startBroker({ clusterId: 'test-cluster', flags });
    await to.startBroker({ clusterId: 'test-cluster' });
  });

  const billing = (rig: Rig) =>
    connect({ servers: rig.nats.url, clusterId: 'test-cluster', clientId: 'billing' });

  /** Reads by the durable until 210 is sent, and leaves what is to be pending. */
  async function leavePending(): Promise<void> {
    const connection = await billing(from);
    await Promise.all(
      Array.from({ length: COUNT }, (_, i) => connection.publish('orders', `order ${i + 1}`)),
    );
    const last = Math.max(...PENDING);
    let sent = FIRST - 1;
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
    await waitFor(() => sent === last, 'it has been sent the last of them');
    await connection.close();
  }

  async function run(args: readonly string[]): Promise<string> {
    const servers = new Map([
      [OLD_URL, from.nats.url],
      [NEW_URL, to.nats.url],
    ]);
    const child = new Child(
      process.execPath,
      args.map((arg) => servers.get(arg) ?? arg),
    );
    assert.deepEqual(await child.exit, { code: 0, signal: null }, child.output);
    return child.output;
  }

  it('loses nothing that a durable had not acknowledged, wherever it stands', async () => {
    const [ask, make] = COMMANDS;
    assert.ok(ask?.includes(OLD_URL) && make?.includes(NEW_URL), 'the page has a command for either server');
    const main = await mainScript();
    await leavePending();
    assert.match(await run([...main, 'sub', ...ask]), /^\[#7 .*\] order 7\n$/);

    const move = join(ROOT, 'examples', 'move-channels.mjs');
    const copied = await run([move, '--from', OLD_URL, '--to', NEW_URL, '--idle', '0.5', 'orders']);
    assert.equal(copied, `orders: ${COUNT - FIRST + 1} messages copied, sequences ${FIRST} to ${COUNT}\n`);

    const place = make.indexOf('--start-sequence') + 1;
    assert.equal(make[place], '7');
    const shifted = make.with(place, String(7 - FIRST + 1));
    assert.match(await run([...main, 'sub', ...shifted]), /^\[#3 .*\] order 7\n$/);

    const connection = await billing(to);
    const read: string[] = [];
    // Its code says something else, as it may for a durable that is there.
    for await (const message of await connection.subscribe('orders', { durable: 'ledger', startAt: 'new' })) {
      read.push(message.string());
      if (read.at(-1) === `order ${COUNT}`) break;
    }
    assert.deepEqual(
      read,
      Array.from({ length: COUNT - 6 }, (_, i) => `order ${i + 7}`),
    );
    await connection.close();
  });
});
