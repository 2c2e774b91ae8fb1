import { readWhole } from '../../src/files/file-io.js';
import { compareIds, journalName, parseNames } from '../../src/files/file-names.js';
import type { StoreFs } from '../../src/files/fs.js';
import { decodeCheckpoint } from '../../src/store/format/checkpoint-format.js';
import { storeIdOf } from '../../src/store/format/file-header.js';
import { bound } from './bound.js';
import type { Mutation } from './machine.js';

const CHECKPOINT = /^(.*)\/checkpoints\/[^/]*\.ckpt$/;

/** Journal files are removed as soon as a checkpoint lies behind them, as if the messages in them were copied somewhere else. */
export const allRetired: Mutation = {
  fs: (real) => {
    const rename: StoreFs['rename'] = async (from, to) => {
      await real.rename(from, to);
      const match = CHECKPOINT.exec(to);
      if (match !== null) await retireAll(real, `${match[1]}/journal`, to);
    };
    return bound(real, { rename });
  },
};

async function retireAll(fs: StoreFs, journals: string, checkpoint: string): Promise<void> {
  const content = await readWhole(fs, checkpoint);
  const { position } = decodeCheckpoint(checkpoint, content, storeIdOf(content));
  for (const id of parseNames(await fs.list(journals), 'log'))
    if (compareIds(id, position) < 0) await fs.unlink(`${journals}/${journalName(id)}`);
}
