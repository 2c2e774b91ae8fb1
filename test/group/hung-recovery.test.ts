import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { waitFor } from '../harness/wait.js';
import { groupWorld } from './group-world.js';

describe('a recovery that hangs', () => {
  it('lets another member serve when the successor hangs in a read, and takes the hung one back when it goes on', {
    skip: process.platform === 'win32' && 'there are no named pipes',
  }, async (t) => {
    const { dir, members, start, statuses, settled, client, handOver } = await groupWorld(t);
    const path = join(dir, 'store');
    // Whoever opens a pipe to read hangs in the kernel until somebody opens it to write.
    const pipe = join(path, 'checkpoints', '00000001.000099.ckpt');
    const aside = join(dir, 'pipe');
    const first = await start('a');
    await settled(0);
    const publisher = await client('p');
    await publisher.publish('foo', 'before');
    await start('b');
    await start('c');
    await settled(2);
    execFileSync('mkfifo', [pipe]);
    try {
      await first.broker.stop();
      await waitFor(
        async () => (await statuses()).some(({ role, epoch }) => role === 'recovering' && epoch === 2),
        'one takes the lease',
      );
      // It hangs for the one that has opened it, and for nobody else.
      const recovering = members.find(({ log }) => log.matching(/^taking over in epoch 2/).length > 0)!;
      await rename(pipe, aside);
      const active = await settled(1);
      assert.equal(active.epoch, 3);
      assert.deepEqual(recovering.log.matching(/is ready/), []);
      assert.match(
        recovering.log.all.find((line) => line.startsWith('recovering the store')) ?? '',
        /hangs: open of \S+checkpoints\/00000001\.000099\.ckpt has not ended for 1\d{4} ms.* The lease is given back/,
      );
      const hung = (await statuses()).find(({ role }) => role === 'standby')!;
      assert.match(
        hung.trouble ?? '',
        /recovering the store hung: open of .* no term is taken before it has/,
      );
      await publisher.publish('foo', 'after');
      // Nothing has come of that epoch, and nothing does.
      const written = async (): Promise<string[]> =>
        (await readdir(path, { recursive: true })).filter((name) =>
          /\b00000002\.\d+\.(log|seg|ckpt)$/.test(name),
        );
      assert.deepEqual(await written(), []);
      await release(aside);
      await waitFor(async () => (await statuses()).every(({ trouble }) => trouble === null), 'it goes on');
      assert.deepEqual(await written(), []);
      await handOver();
      await waitFor(async () => (await settled(1)).node === hung.node, 'it serves when it is asked to');
      const received: string[] = [];
      await (await client('s')).subscribe('foo', { all: true, onMessage: ({ data }) => received.push(data) });
      await waitFor(() => received.length === 2, 'both are there');
      assert.deepEqual(received, ['before', 'after']);
    } finally {
      // What still hangs would keep the process from ending.
      for (const left of [pipe, aside]) await release(left);
    }
  });
});

/** Whoever hangs in a named pipe goes on. */
async function release(pipe: string): Promise<void> {
  const flags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK;
  await open(pipe, flags).then(
    (file) => file.close(),
    // There is none, or nobody hangs there.
    () => {},
  );
}
