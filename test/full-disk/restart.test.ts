import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Rig } from '../harness/rig.js';
import { SmallVolume } from '../harness/small-volume.js';
import { waitFor, within } from '../harness/wait.js';

const { skip } = SmallVolume;
const ANSWER_MS = 5_000;

describe('a broker whose volume is full', { skip }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('starts again after kill -9, again and again, and with smaller limits has room', async (t) => {
    const volume = new SmallVolume('size=64m');
    t.after(() => volume.remove());
    const dir = `${volume.dir}/data`;
    const broker = await rig.startBroker({ dir });
    t.after(() => broker.destroy());
    const client = await rig.connect('client', { broker });
    const subscription = await client.subscribe('foo', { all: true, durableName: 'd' });
    const data = Buffer.alloc(30_000, 'x');
    await waitFor(() => volume.hasReserve(dir), 'room is set aside');
    volume.fill();
    let refused = '';
    let stored = 0;
    while (refused === '') {
      await client.publish('foo', data).then(
        () => void stored++,
        (error: Error) => {
          refused = error.message;
        },
      );
    }
    for (let round = 1; round <= 3; round++) {
      await broker.restart();
      const other = await within(rig.connect(`c${round}`, { broker }), 'a client connects', ANSWER_MS);
      await within(other.close(), 'and leaves', ANSWER_MS);
    }
    await subscription.got(stored);
    await broker.kill();
    await broker.startAgain(['--max-msgs', '10']);
    await waitFor(() => client.publish('foo', data).then(Boolean, () => false), 'messages are taken');
    await subscription.got(stored + 1);
  });

  it('starts if an older version has filled it, which has set nothing aside', async (t) => {
    const volume = new SmallVolume('size=64m');
    t.after(() => volume.remove());
    const dir = `${volume.dir}/data`;
    const broker = await rig.startBroker({ dir });
    t.after(() => broker.destroy());
    const client = await rig.connect('client', { broker });
    for (let i = 0; i < 50; i++) await client.publish('foo', Buffer.alloc(30_000, 'x'));
    await broker.kill();
    rmSync(`${dir}/reserve`, { recursive: true, force: true });
    volume.fill();
    assert.equal(volume.freeBytes, 0);
    await broker.startAgain();
    const subscriber = await within(rig.connect('subscriber', { broker }), 'a client connects', ANSWER_MS);
    const subscription = await subscriber.subscribe('foo', { all: true });
    await subscription.got(50);
  });
});
