import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rig } from '../harness/rig.js';
import { SmallVolume } from '../harness/small-volume.js';
import { waitFor } from '../harness/wait.js';

const { skip } = SmallVolume;
const MIB = 1024 * 1024;

describe('a volume that the store itself has filled', { skip }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('takes as many again, by itself, when its messages have expired', async (t) => {
    const volume = new SmallVolume('size=40m');
    t.after(() => volume.remove());
    const flags = ['--max-age', '5s'];
    const broker = await rig.startBroker({ dir: `${volume.dir}/data`, flags });
    t.after(() => broker.destroy());
    const publisher = await rig.connect('publisher', { broker });
    const data = Buffer.alloc(200_000, 'x');
    const errors = new Set<string>();
    let storedBytes = 0;
    const publishMany = async (): Promise<number> => {
      let stored = 0;
      const one = (): Promise<void> =>
        publisher.publish('foo', data).then(
          () => void stored++,
          (error: Error) => void errors.add(error.message),
        );
      await Promise.all(Array.from({ length: 30 }, one));
      storedBytes += stored * data.length;
      return stored;
    };
    // Full for good, and not since a file was in the making.
    let fullSinceMs = Number.POSITIVE_INFINITY;
    while (performance.now() < fullSinceMs + 500) {
      if ((await publishMany()) > 0) fullSinceMs = Number.POSITIVE_INFINITY;
      else fullSinceMs = Math.min(fullSinceMs, performance.now());
    }
    assert.deepEqual([...errors], ['stanchion: store is full: no space left on the device']);
    assert.ok(storedBytes > 10 * MIB, `${storedBytes} bytes were stored before`);
    const before = storedBytes;
    await waitFor(
      async () => (await publishMany()) > 0 && storedBytes > before + 10 * MIB,
      () => `${storedBytes - before} more bytes were stored; the broker said:\n${broker.output}`,
      20_000,
    );
    const subscriber = await rig.connect('subscriber', { broker });
    const subscription = await subscriber.subscribe('foo', { all: true });
    await subscription.got(1);
  });
});
