import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoSandbox } from '../chaos/sandbox.js';
import { Child } from '../harness/child.js';
import { within } from '../harness/wait.js';
import { whyNoNfs } from './nfs/nfs-lab.js';

const RUN = join(dirname(fileURLToPath(import.meta.url)), 'nfs', 'run.ts');
const RUN_MS = 240_000;

describe('a group whose members are machines with an NFS 4.1 mount each', {
  skip: whyNoSandbox() || whyNoNfs(),
}, () => {
  it('loses nothing when the machine of the active loses its power', {
    timeout: RUN_MS,
  }, async () => {
    const child = new Child(process.execPath, [...process.execArgv, RUN, '--strikes', 'power']);
    try {
      const { code } = await within(child.exit, 'the run ends', RUN_MS);
      assert.equal(code, 0, child.output);
    } finally {
      await child.destroy();
    }
  });
});
