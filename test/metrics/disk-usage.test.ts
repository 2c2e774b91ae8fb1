import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../src/files/store-folder.js';
import { DiskUsage } from '../../src/metrics/disk-usage.js';
import { ManualClock } from '../clock/manual-clock.js';

describe('the disk usage of a store', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-disk-'));
  });
  after(() => rmSync(dir, { recursive: true }));

  it('is unknown before there is a store', async () => {
    assert.equal(await new DiskUsage(join(dir, 'none'), new ManualClock()).figures(), undefined);
  });

  it('is that of its files by kind, looked up again after five seconds, and of its file system', async () => {
    for (const name of [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY])
      mkdirSync(join(dir, name));
    const write = (directory: string, name: string, bytes: number): void =>
      writeFileSync(join(dir, directory, name), Buffer.alloc(bytes));
    write(JOURNAL_DIRECTORY, '1.log', 1000);
    write(SEGMENT_DIRECTORY, '1.seg', 200);
    write(SEGMENT_DIRECTORY, '2.seg', 30);
    const clock = new ManualClock();
    const usage = new DiskUsage(dir, clock);
    const { journal, segments, checkpoints, freeBytes, sizeBytes } = (await usage.figures())!;
    assert.deepEqual([journal, segments, checkpoints], [1000, 230, 0]);
    assert.ok(freeBytes > 0 && freeBytes <= sizeBytes);
    write(CHECKPOINT_DIRECTORY, '1.ckpt', 4);
    assert.equal((await usage.figures())!.checkpoints, 0);
    clock.advance(6_000);
    assert.equal((await usage.figures())!.checkpoints, 4);
  });

  it('is forgotten when the store has not answered for a minute', async () => {
    const gone = join(dir, 'gone');
    for (const name of [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY]) {
      mkdirSync(join(gone, name), { recursive: true });
    }
    const clock = new ManualClock();
    const usage = new DiskUsage(gone, clock);
    assert.notEqual(await usage.figures(), undefined);
    rmSync(gone, { recursive: true });
    clock.advance(30_000);
    assert.notEqual(await usage.figures(), undefined);
    clock.advance(36_000);
    assert.equal(await usage.figures(), undefined);
  });
});
