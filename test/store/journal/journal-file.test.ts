import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalName } from '../../../src/files/file-names.js';
import { decodeFileHeader, Magic } from '../../../src/store/format/file-header.js';
import {
  createJournalFile,
  type JournalFile,
  type JournalFileOptions,
  MIN_JOURNAL_BYTES,
  recycleJournalFile,
  useRoom,
} from '../../../src/store/journal/journal-file.js';
import { Reserve } from '../../../src/store/room/reserve.js';
import { must } from '../../../src/util/assert.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { random, TestClock } from '../support.js';
import { STORE_ID } from './journal-rig.js';

const DIR = '/store';
const DIRECTORY = `${DIR}/journal`;
const ID = { epoch: 4, number: 2 };
const OLDER_ID = { epoch: 4, number: 1 };
const SIZE = { count: 1, leastCount: 1, bytes: MIN_JOURNAL_BYTES, leastBytes: MIN_JOURNAL_BYTES };

type Making = (options: JournalFileOptions, reserve: Reserve) => Promise<JournalFile>;

async function worldOf(): Promise<{ fs: SimFs; options: JournalFileOptions; reserve: Reserve }> {
  const fs = new SimFs();
  await fs.makeDirectory(DIRECTORY);
  await fs.syncDirectory(DIR);
  const sizes = { log: SIZE, ckpt: SIZE, seg: SIZE };
  const reserve = new Reserve({ fs, clock: new TestClock(), dir: DIR, epoch: ID.epoch, sizes });
  reserve.refill();
  await until(() => reserve.segmentBytes !== undefined, 'the reserve is whole');
  await reserve.close();
  return { fs, options: { fs, random, directory: DIRECTORY, storeId: STORE_ID }, reserve };
}

const MAKINGS: Record<string, Making> = {
  'made of zeros': (options) => createJournalFile(options, ID, MIN_JOURNAL_BYTES),
  'made of room that was set aside': async (options, reserve) => {
    const room = must(await reserve.take('log'), 'there is room set aside');
    return await useRoom(options, reserve, ID, room);
  },
  'one that had another life': async (options) => {
    const older = await createJournalFile(options, OLDER_ID, MIN_JOURNAL_BYTES);
    await older.file.close();
    const spare = { path: older.path, bytes: MIN_JOURNAL_BYTES };
    return must(await recycleJournalFile(options, ID, spare), 'it is there');
  },
};

describe('a journal file', () => {
  for (const [how, make] of Object.entries(MAKINGS)) {
    it(`has its name only with a header that is whole, whenever the power fails, if it is ${how}`, async () => {
      let named = 0;
      for (let stopAt = 1; ; stopAt++) {
        const { fs, options, reserve } = await worldOf();
        fs.stopAt = fs.operations + stopAt;
        let isMade = false;
        make(options, reserve).then(
          () => {
            isMade = true;
          },
          () => {},
        );
        await until(() => isMade || fs.isStopped, 'the file is made, or the power has failed');
        for (const keep of ['synced', 'written'] as const) {
          const after = fs.restarted(keep);
          for (const path of after.paths().filter((name) => /journal.*\.log$/.test(name))) {
            named++;
            const header = decodeFileHeader(Magic.journal, after.content(path), path, STORE_ID);
            const name = journalName(header ?? { epoch: 0, number: 0 });
            assert.ok(path.endsWith(`/${name}`), `${path} has a header, ${keep}, operation ${stopAt}`);
          }
        }
        if (isMade) break;
      }
      assert.ok(named > 1);
    });
  }
});
