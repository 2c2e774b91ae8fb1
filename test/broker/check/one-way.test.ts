import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { FaultProxy, type FaultRule } from '../../harness/fault-proxy.js';
import { InProcess } from '../../harness/in-process.js';
import { StanClient } from '../../harness/stan-client.js';
import { holdsFor, waitFor, within } from '../../harness/wait.js';
import { NatsProcess } from '../../nats/nats-process.js';

/** Much less than before, and more than a busy machine needs: it is found within 2 s. */
const SOON_MS = 12_000;

interface World {
  readonly nats: NatsProcess;
  readonly proxy: FaultProxy;
  readonly others: (() => unknown)[];
}

async function world(t: TestContext): Promise<World> {
  const nats = await NatsProcess.start();
  const proxy = await FaultProxy.start(nats.port);
  const others: (() => unknown)[] = [];
  t.after(async () => {
    for (const close of others) await close();
    await proxy.stop();
    await nats.stop();
  });
  return { nats, proxy, others };
}

async function start({ others }: World, flags: Record<string, string>): Promise<InProcess> {
  const broker = await InProcess.start(flags);
  others.unshift(() => broker.stop());
  return broker;
}

async function client({ nats, others }: World, id: string): Promise<StanClient> {
  const stan = await StanClient.connect(nats.url, 'c', id);
  others.unshift(() => stan.drop());
  return stan;
}

const LINK = /NATS data link lost/;
const CONTROL = /making a new control connection to the NATS server/;
const SERVER = /giving up the connections to the NATS server/;

const cases: Record<string, { rule: FaultRule; says: RegExp }> = {
  'the data link no longer sends': { rule: { on: 'data', way: 'toServer', fault: 'swallow' }, says: LINK },
  'the data link no longer hears': { rule: { on: 'data', way: 'toBroker', fault: 'swallow' }, says: LINK },
  'the data link is not read': { rule: { on: 'data', way: 'toServer', fault: 'block' }, says: LINK },
  'the data link sends byte by byte': { rule: { on: 'data', way: 'toServer', fault: 'trickle' }, says: LINK },
  'the data link hears byte by byte': { rule: { on: 'data', way: 'toBroker', fault: 'trickle' }, says: LINK },
  'the control connection no longer sends': {
    rule: { on: 'control', way: 'toServer', fault: 'swallow' },
    says: CONTROL,
  },
  'the control connection no longer hears': {
    rule: { on: 'control', way: 'toBroker', fault: 'swallow' },
    says: CONTROL,
  },
  'both connections are half-open': { rule: { on: 'both', way: 'both', fault: 'swallow' }, says: SERVER },
};

describe('A lone broker whose connections look well', { concurrency: true }, () => {
  for (const [what, { rule, says }] of Object.entries(cases)) {
    it(`makes them anew when ${what}, though clients go on sending`, async (t) => {
      const all = await world(t);
      const broker = await start(all, { 'nats-server': all.proxy.url });
      await broker.isWell();
      const publisher = await client(all, 'p');
      await publisher.publish('a', 'x');
      const sending = setInterval(() => void publisher.publish('a', 'y').catch(() => {}), 20);
      t.after(() => clearInterval(sending));
      const sinceMs = performance.now();
      all.proxy.fail(rule);
      await waitFor(
        () => broker.log.matching(says).length > 0,
        () => `it finds out; it said:\n${broker.log.all.join('\n')}`,
        SOON_MS,
      );
      t.diagnostic(`found after ${Math.round(performance.now() - sinceMs)} ms`);
      await broker.isWell();
      const again = await client(all, 'q');
      await within(again.publish('a', 'z'), 'a publish is acknowledged');
    });
  }

  it('keeps a slow one, with seconds of messages under way in both directions', async (t) => {
    const all = await world(t);
    const broker = await start(all, { 'nats-server': all.proxy.url });
    await broker.isWell();
    all.proxy.fail({ on: 'data', way: 'both', fault: { bytesPerSecond: 400_000 } });
    const stan = await client(all, 's');
    let got = 0;
    await stan.subscribe('a', { all: true, onMessage: () => got++ });
    const acked = Array.from({ length: 120 }, () => stan.publish('a', 'x'.repeat(10_000)));
    await within(Promise.all(acked), 'all is acknowledged');
    await waitFor(() => got === 120, 'all is delivered');
    assert.deepEqual(broker.log.matching(/lost|giving up|making a new/), []);
  });

  it('goes to another server where the first one takes new connections and does not answer on them', async (t) => {
    const all = await world(t);
    const [other, way] = [await NatsProcess.start(), await FaultProxy.start(all.nats.port)];
    all.others.push(
      () => way.stop(),
      () => other.stop(),
    );
    const servers = { 'nats-server': `${way.url},${other.url}`, 'nats-in-order': 'true' };
    const broker = await start(all, servers);
    await broker.isWell();
    way.isDeaf = true;
    way.fail({ on: 'data', way: 'toServer', fault: 'swallow' });
    const sinceMs = performance.now();
    const isThere = async (): Promise<boolean> =>
      await StanClient.connect(other.url, 'c', 'q', { connectTimeout: 1_000 })
        .then((stan) => stan.drop())
        .then(
          () => true,
          () => false,
        );
    await waitFor(isThere, () => `it serves there; it said:\n${broker.log.all.join('\n')}`, SOON_MS);
    t.diagnostic(`served there after ${Math.round(performance.now() - sinceMs)} ms`);
  });

  it('keeps its connections to a server that only stands still', async (t) => {
    const all = await world(t);
    const broker = await start(all, { 'nats-server': all.nats.url });
    await broker.isWell();
    all.nats.signal('SIGSTOP');
    t.after(() => all.nats.signal('SIGCONT'));
    await holdsFor(4_000, () => broker.log.matching(/lost|giving up|making a new/).length === 0, 'it waits');
    all.nats.signal('SIGCONT');
    await broker.isWell();
    assert.deepEqual(broker.log.matching(/lost|giving up|making a new/), []);
  });
});

describe('A group whose active is no longer heard by NATS', { concurrency: true }, () => {
  for (const on of ['data', 'control', 'both'] as const) {
    for (const way of ['toServer', 'toBroker'] as const) {
      it(`is served by another member: ${on} ${way}`, async (t) => {
        const all = await world(t);
        const dir = mkdtempSync(join(tmpdir(), 'stanchion-one-way-'));
        t.after(() => rmSync(dir, { recursive: true, force: true }));
        const group = { 'ft-group': 'g', store: 'file', dir };
        const first = await start(all, { ...group, 'node-name': 'a', 'nats-server': all.proxy.url });
        const serves = (member: InProcess): boolean =>
          member.log.matching(/Streaming Server is ready/).length > 0;
        await waitFor(() => serves(first), 'a serves');
        const second = await start(all, { ...group, 'node-name': 'b', 'nats-server': all.nats.url });
        await waitFor(() => second.log.matching(/Standby: watching/).length > 0, 'b watches');
        const publisher = await client(all, 'p');
        await publisher.publish('a', 'x');
        const sending = setInterval(() => void publisher.publish('a', 'y').catch(() => {}), 20);
        t.after(() => clearInterval(sending));
        const sinceMs = performance.now();
        all.proxy.fail({ on, way, fault: 'swallow', isForNew: true });
        await waitFor(
          () => serves(second),
          () => `b serves; a said:\n${first.log.all.join('\n')}`,
          SOON_MS,
        );
        t.diagnostic(`served by another after ${Math.round(performance.now() - sinceMs)} ms`);
        const again = await client(all, 'q');
        await within(again.publish('a', 'z'), 'a publish is acknowledged');
      });
    }
  }
});
