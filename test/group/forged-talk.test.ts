import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { NatsConnection } from 'nats';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { waitFor } from '../harness/wait.js';
import { type GroupWorld, groupWorld } from './group-world.js';

// What anyone who can publish in NATS can do to a group: nothing. Each message is as such a program would write it by hand.

const SUBJECTS = groupSubjects('c', 'g');
const FOREIGN = 'BBBBBBBBBBBBBBBBBBBBBB';
/** Older than any member. */
const LONG_MS = 1e12;

function heartbeat(change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    ...{ kind: 'heartbeat', member: 'evil@nowhere@1@x', node: 'evil', role: 'active', epoch: 7, counter: 1 },
    ...{ forMs: LONG_MS, storeId: FOREIGN, storeDir: '/elsewhere', server: 'nats:4222' },
    ...change,
  });
}

/** Everything that a message of a group can be forged to say. */
function forgeries(members: readonly string[]): string[] {
  const kinds = ['offer', 'ready', 'released', 'leaving'];
  return [
    heartbeat(),
    heartbeat({ epoch: 1e15, counter: 1e15 }),
    heartbeat({ storeId: '' }).replace('"epoch":7', '"epoch":1e999'),
    heartbeat({ epoch: -1 }),
    heartbeat({ role: 'recovering' }),
    heartbeat({ member: '', node: '' }),
    ...members.flatMap((member) => [
      heartbeat({ member }),
      heartbeat({ member, storeId: '', epoch: 1e15 }),
      heartbeat({ member, role: 'stopping' }),
      ...kinds.flatMap((kind) => [1, 2, 1e15].map((epoch) => JSON.stringify({ kind, member, epoch }))),
    ]),
    ...['', '{', 'null', '[]', '"x"', '{"kind":"heartbeat"}', 'x'.repeat(100_000)],
  ];
}

/**
 * The takeovers after this epoch that a member knows, without those of a lease that was not renewed in time: no machine promises that it
 * never stands still for so long. What is said on NATS cannot cause one of these, since the store must show the same renewal all the time.
 */
function takeoversSince(epoch: number, { takeoverHistory }: MemberStatus): string[] {
  return takeoverHistory
    .filter((takeover) => takeover.epoch > epoch && takeover.story?.reasonKind !== 'lease_expired')
    .map(({ epoch, node, story }) => `${node} in epoch ${epoch}: ${story?.reason ?? 'no reason known'}`);
}

/** Checks that none has ended, taken over or handed over since all had settled, other than a machine that stands still makes one. */
async function assertUntouched(
  { settled, statuses }: GroupWorld,
  standbys: number,
  epoch: number,
): Promise<void> {
  await settled(standbys);
  assert.deepEqual(
    (await statuses()).flatMap((status) => takeoversSince(epoch, status)),
    [],
  );
}

/** Says again and again that it is active. @returns ends that */
function forge(nc: NatsConnection, everyMs: number): () => void {
  const timer = setInterval(() => {
    if (!nc.isClosed()) nc.publish(SUBJECTS.talk, heartbeat());
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

describe('messages that anyone can forge', { concurrency: 2 }, () => {
  it('end no member, and neither demote nor replace the active', async (t) => {
    const world = await groupWorld(t);
    const { nc, start, settled, client, members, statuses } = world;
    // NATS must stand still for two leases before an active gives the group away: only what is forged could make it.
    const lease = { 'ft-lease': '3s' };
    await start('a', lease);
    await Promise.all([start('b', lease), start('c', lease)]);
    const { epoch } = await settled(2);
    const publisher = await client('p');
    const names = (await statuses()).map(({ member }) => member);
    // Each is heard at many moments between two heartbeats.
    for (let round = 0; round < 20; round++) {
      for (const forged of forgeries(names)) nc.publish(SUBJECTS.talk, forged);
      nc.publish(SUBJECTS.handover, JSON.stringify({ member: names[0], epoch, number: Date.now() + round }));
      nc.publish(SUBJECTS.handover);
      nc.publish(SUBJECTS.view, '{"kind":"summary"}');
      await publisher.publish('foo', `${round}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await assertUntouched(world, 2, epoch);
    for (const { peers } of await statuses())
      assert.deepEqual(
        peers.filter(({ node }) => node === 'evil'),
        [],
        'nothing of it is remembered',
      );
    for (const { log } of members) {
      const lines = (): string[] => log.matching(/had no valid proof of this store, and changed nothing/);
      await waitFor(() => lines().length > 0, 'each member says so');
      const said = lines();
      assert.equal(said.length, 1, 'once a minute');
      assert.match(
        said[0] ?? '',
        /another group of the same names.*permit "_STANCHION\.group\.>" to brokers only/,
      );
    }
    const [first] = await statuses();
    assert.match(first!.warnings?.join() ?? '', /had no valid proof of this store/);
  });

  it('keep no member from coming back, and none from taking over: all publishes go through', async (t) => {
    const { nc, start, settled, client } = await groupWorld(t);
    let a = await start('a');
    await settled(0);
    await start('b');
    await settled(1);
    const publisher = await client('p');
    // An active of another group, too, for whoever asks for the status.
    const other = {
      group: 'h',
      node: 'evil',
      role: 'active',
      epoch: 9,
      leaseMs: 1e9,
      store: { kind: 'file', dir: '/x', storeId: FOREIGN },
    };
    nc.subscribe(groupSubjects('c', '').statusOfAll, {
      callback: (_, message) => {
        message.respond(JSON.stringify(other));
        message.respond('{"group":"h","role":"active"}');
        message.respond('nonsense');
      },
    });
    const stop = forge(nc, 100);
    let acked = 0;
    for (let turn = 0; turn < 2; turn++) {
      const stopped = a.broker.stop();
      for (let i = 0; i < 20; i++) {
        await publisher.publish('foo', `${turn} ${i}`);
        acked++;
      }
      await stopped;
      a = await start('a');
      await settled(1);
    }
    stop();
    assert.equal(acked, 40);
  });

  it('fill no memory: of a thousand invented members, none is remembered', async (t) => {
    const { nc, start, settled, statuses } = await groupWorld(t);
    await start('a');
    const { epoch } = await settled(0);
    const large = 'x'.repeat(900_000);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 1_000; i++) {
      const isLarge = i % 10 === 0;
      nc.publish(
        SUBJECTS.talk,
        heartbeat({ member: `m${i}@h@1@x`, node: `n${i}`, storeDir: isLarge ? large : '/x' }),
      );
      if (isLarge) await nc.flush();
    }
    await nc.flush();
    const [status] = await statuses();
    assert.deepEqual([status?.epoch, status?.role, status?.peers], [epoch, 'active', []]);
    const grownMiB = (process.memoryUsage().heapUsed - before) / 2 ** 20;
    assert.ok(grownMiB < 60, `90 MiB were sent, and ${grownMiB.toFixed(0)} MiB more are in use`);
  });

  it('keep a group from making its first store, since its folder may be a mount that is missing: both reasons are told', async (t) => {
    const { nc, dir, start } = await groupWorld(t);
    const stop = forge(nc, 50);
    await assert.rejects(start('a'), (error: Error) => {
      assert.match(
        error.message,
        /points at another store than its group: .* holds no store, \/elsewhere at node evil/,
      );
      assert.match(error.message, /Is the shared volume mounted at/);
      assert.match(error.message, /another group of the same names may be on these NATS servers/);
      assert.match(error.message, /or the message is forged \(permit "_STANCHION\.group\.>"/);
      return true;
    });
    stop();
    const member = await start('a', { dir: join(dir, 'store') });
    await waitFor(() => member.log.all.includes('Streaming Server is ready'), 'it starts once that is over');
  });
});
