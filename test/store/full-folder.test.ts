import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeFs } from '../../src/store/fs.js';

const FS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src', 'store', 'fs.ts');
/** In a mount namespace of its own, which ends with the shell: room for one name. */
const MOUNT = 'mount -t tmpfs -o size=64k,nr_inodes=2 tmpfs /mnt && touch /mnt/taken';

function inFullFolder(command: string, ...args: string[]): ReturnType<typeof spawnSync> {
  const shell = ['--mount', 'sh', '-c', `${MOUNT} && "$@"`, 'sh', command, ...args];
  return spawnSync('unshare', shell, { encoding: 'utf8' });
}

const skip = inFullFolder('true').status === 0 ? false : 'needs root, to mount';

describe('a folder on a full disk', { skip }, () => {
  for (const path of ['/mnt/store', '/mnt/store/journal']) {
    it(`cannot be made, and it is said why: ${path}`, () => {
      const script = [
        `import { nodeFs } from '${FS}';`,
        `await nodeFs.makeDirectory('${path}').catch(({ code, path }) => console.log(code, path));`,
      ].join('\n');
      const args = [...process.execArgv, '--input-type=module', '-e', script];
      const { stdout, stderr } = inFullFolder(process.execPath, ...args);
      assert.equal(String(stdout), 'ENOSPC /mnt/store\n', String(stderr));
    });
  }
});

describe('a folder where nothing can be made', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, () => {
  it('is told at once', async () => {
    await assert.rejects(nodeFs.makeDirectory('/proc/stanchion/store'), { code: 'ENOENT' });
  });

  it('is no matter if it is there, and a file is no folder', async () => {
    await nodeFs.makeDirectory('/proc/self');
    await assert.rejects(nodeFs.makeDirectory('/proc/version'), { code: 'EEXIST' });
  });
});
