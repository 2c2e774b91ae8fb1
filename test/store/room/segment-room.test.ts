import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rowsBytesOf } from '../../../src/store/room/segment-room.js';
import { checkpointed, SMALL, Terms } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg } from '../support.js';

describe('The room for the rows of a segment', () => {
  for (const messages of [1, 3, 100]) {
    it(`holds those of ${messages} messages, each in a channel of its own, with all that is around them`, async (t) => {
      const disk = new SimFs();
      const opened = await new Terms(t, disk).open(SMALL);
      const { store, host } = opened;
      for (let i = 0; i < messages; i++)
        store.createLog(`channel-${i}`, NO_LIMITS).append(pubMsg(`channel-${i}`, 'x'.repeat(1_000)), 1);
      await host.commit();
      await checkpointed(opened);
      const [path] = disk.paths().filter((each) => each.endsWith('.seg') && each.includes('/segments/'));
      assert.ok(path !== undefined);
      const { length } = disk.content(path);
      assert.ok(length <= rowsBytesOf(messages), `${length} bytes in ${rowsBytesOf(messages)}`);
    });
  }
});
