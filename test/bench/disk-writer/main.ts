/** The other writer on the disk: appends and syncs at a bounded rate, whatever the broker does. Argument: a `DiskWriterSpec` as JSON. */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskWriterSpec, WRITING } from './spec.js';

const MAX_FILE_BYTES = 256 * 1024 * 1024;

const spec = JSON.parse(process.argv[2] ?? '{}') as DiskWriterSpec;
const bytes = Buffer.alloc(spec.bytes, 'w');
const path = join(spec.dir, 'other-writer');
process.once('SIGTERM', () => process.exit(0));

let file = await open(path, 'w');
let length = 0;
process.stdout.write(`${WRITING}\n`);
for (let dueMs = performance.now(); ; ) {
  if (length + bytes.length > MAX_FILE_BYTES) {
    await file.close();
    await rm(path);
    file = await open(path, 'w');
    length = 0;
  }
  await file.write(bytes);
  await file.datasync();
  length += bytes.length;
  // What the disk was too slow for is not made up for: the rate is a bound.
  const nowMs = performance.now();
  dueMs = Math.max(dueMs + 1_000 / spec.perSecond, nowMs);
  await new Promise((resolve) => setTimeout(resolve, dueMs - nowMs));
}
