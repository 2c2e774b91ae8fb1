/** Appends to a store until it is killed, and sends the sequences that are durable. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../../src/clock/clock.js';
import { nodeFs } from '../../../src/files/fs.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { NO_LIMITS, pubMsg, TestHost } from '../support.js';

const [dir, epoch] = process.argv.slice(2);
const store = await openFileStore({
  fs: nodeFs,
  clock: systemClock,
  random: randomBytes,
  dir: dir!,
  clusterId: 'test-cluster',
  epoch: Number(epoch),
  warn: () => {},
});
const host = new TestHost(store);
const log = store.recovered.logs[0] ?? store.createLog('foo', NO_LIMITS);
for (;;) {
  for (let i = 0; i < 50; i++) log.append(pubMsg('foo', `message ${log.lastSequence + 1}`), 1);
  const last = log.lastSequence;
  await host.commit();
  process.send!(last);
}
