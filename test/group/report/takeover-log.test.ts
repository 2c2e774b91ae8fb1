import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { Broker } from '../../harness/broker.js';
import { Rig } from '../../harness/rig.js';
import { waitFor } from '../../harness/wait.js';

type Entry = Record<string, unknown> & { level: string; msg: string };

function entries({ output }: Broker): Entry[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Entry);
}

/** Waits for an entry of one member's log. */
async function logged(broker: Broker, message: RegExp): Promise<Entry> {
  let found: Entry | undefined;
  await waitFor(
    () => {
      found = entries(broker).find(({ msg }) => message.test(msg));
      return found !== undefined;
    },
    () => `${message} in the log:\n${broker.output}`,
  );
  return found!;
}

function number(entry: Entry, field: string): number {
  const value = entry[field];
  assert.equal(typeof value, 'number', `${field} of ${JSON.stringify(entry)}`);
  return value as number;
}

describe('the log of a group records a takeover', () => {
  const rig = new Rig({ store: 'file', broker: false });
  let a: Broker;
  let b: Broker;
  let c: Broker;

  before(async () => {
    const shared = { clusterId: 'c', dir: join(rig.folder(), 'store') };
    const member = (node: string): Promise<Broker> =>
      rig.startBroker({ ...shared, flags: ['--ft-group', 'g', '--node-name', node] });
    a = await member('a');
    // Of these two the first to find out takes over.
    [b, c] = await Promise.all([member('b'), member('c')]);
    const client = await rig.connect('client', { broker: a });
    await client.subscribe('orders', { durableName: 'd' });
    await client.publishMany('orders', 30);
    await a.kill('SIGKILL');
    await waitFor(
      () => [b, c].some((each) => /Streaming Server is ready/.test(each.output)),
      () => `one of them serves:\n${b.output}\n${c.output}`,
    );
    if (/Streaming Server is ready/.test(c.output)) [b, c] = [c, b];
  });

  it('who takes over from whom and why, before it is done', async () => {
    const decision = await logged(b, /^taking over in epoch 2 from a: the process that holds it has died$/);
    assert.equal(decision.level, 'warn');
    assert.deepEqual([decision.epoch, decision.from], [2, 'a']);
    assert.equal(decision.reason, 'the process that holds it has died');
    assert.ok(number(decision, 'lastSignMs') >= 0);
  });

  it('what was found in the store', async () => {
    const found = await logged(
      b,
      /^recovered 30 messages in 1 channel, 30 of them from \d+ bytes of journals$/,
    );
    const { epoch, messages, journalMessages, channels, clients, subscriptions } = found;
    assert.deepEqual(
      { epoch, messages, journalMessages, channels, clients, subscriptions },
      { epoch: 2, messages: 30, journalMessages: 30, channels: 1, clients: 1, subscriptions: 1 },
    );
    assert.ok(number(found, 'journalBytes') > 30 * 30);
  });

  it('how long each part took, in parts that add up', async () => {
    const took = await logged(b, /^the takeover took \d+ ms, of which recovery \d+ ms$/);
    const parts = ['claimMs', 'listMs', 'checkpointMs', 'journalMs', 'openMs', 'fenceMs', 'servingMs'];
    const sum = parts.reduce((total, part) => total + number(took, part), 0);
    // Each is rounded.
    assert.ok(Math.abs(sum - number(took, 'tookMs')) < 5, `${sum} of ${took.tookMs}`);
    assert.ok(number(took, 'recoveryMs') <= number(took, 'tookMs'));
  });

  it('how long clients waited', async () => {
    const outage = await logged(
      b,
      /^clients were without an active for \d+ ms: \d+ ms until it was noticed, \d+ ms/,
    );
    assert.equal(outage.level, 'warn');
    assert.ok(number(outage, 'outageMs') >= number(outage, 'detectionMs'));
  });

  it('in order, and the ready line last', () => {
    const told = entries(b)
      .map(({ msg }) => msg)
      .filter((msg) => /^(taking over|recovered|the takeover took|clients were|Streaming Server)/.test(msg));
    assert.deepEqual(
      told.map((msg) => msg.split(' ')[0]),
      ['taking', 'recovered', 'the', 'clients', 'Streaming'],
    );
  });

  it('on the members that did not take over: who serves now, and why', async () => {
    const other = await logged(
      c,
      /^[bc] has taken over in epoch 2 from a: the process that holds it has died$/,
    );
    assert.equal(other.epoch, 2);
    assert.ok(number(other, 'outageMs') >= number(other, 'tookMs'));
    assert.match(String(other.at), /^\d{4}-\d\d-\d\dT/);
    assert.equal(entries(c).filter(({ msg }) => / has taken over in epoch 2/.test(msg)).length, 1);
  });

  it('of a handover, as such', async () => {
    await b.kill('SIGTERM');
    const decision = await logged(c, /^taking over in epoch 3 from [bc]: it was given back$/);
    assert.equal(decision.reason, 'it was given back');
    await logged(c, /^clients were without an active for \d+ ms/);
    await logged(b, /^the term of epoch 2 ends: it is being stopped$/);
    await logged(b, /^the lease has been given back$/);
  });
});
