import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeFs } from '../../../src/files/fs.js';

const FS = fileURLToPath(new URL('../../../src/files/fs.ts', import.meta.url));
/** In a mount namespace of its own, which ends with the shell: room for one name. */
const MOUNT = 'mount -t tmpfs -o size=64k,nr_inodes=2 tmpfs /mnt && touch /mnt/taken';

function inFullFolder(command: string, ...args: string[]): ReturnType<typeof spawnSync> {
  const shell = ['--mount', 'sh', '-c', `${MOUNT} && "$@"`, 'sh', command, ...args];
  return spawnSync('unshare', shell, { encoding: 'utf8' });
}

const skip = inFullFolder('true').status === 0 ? false : 'needs root, to mount';

describe('a folder', () => {
  it('is made with those above it, and may be there', async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'stanchion-folder-'));
    t.after(() => rmSync(root, { recursive: true }));
    const path = join(root, 'a', 'b', 'c');
    await nodeFs.makeDirectory(path);
    await nodeFs.makeDirectory(path);
    await nodeFs.makeDirectory(`${path}/`);
    assert.ok(statSync(path).isDirectory());
  });

  it('cannot be made where a file is, or in one', async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'stanchion-folder-'));
    t.after(() => rmSync(root, { recursive: true }));
    const file = join(root, 'file');
    writeFileSync(file, '');
    await assert.rejects(nodeFs.makeDirectory(file), { code: 'EEXIST', path: file });
    await assert.rejects(nodeFs.makeDirectory(join(file, 'a')), { code: 'ENOTDIR' });
  });

  it('cannot be made where the system has none made, and that is said', {
    skip: process.platform === 'linux' ? false : 'needs /proc',
  }, async () => {
    await assert.rejects(nodeFs.makeDirectory('/proc/stanchion/store'), {
      code: 'ENOENT',
      path: '/proc/stanchion',
    });
  });
});

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
