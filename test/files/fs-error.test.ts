import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { getSystemErrorName } from 'node:util';
import { nodeFs } from '../../src/files/fs.js';
import { errorCode, fsError } from '../../src/files/fs-error.js';
import { isGone, isNoSpace } from '../../src/files/store-error.js';
import { temporaryDirectory } from '../store/file-support.js';

const { EDQUOT, ESTALE } = constants.errno;

/** As Node makes it of an error number that libuv has no name for. */
function unnamed(errno: number, syscall: string): NodeJS.ErrnoException {
  const code = `Unknown system error -${errno}`;
  return Object.assign(new Error(`${code}: ${code}, ${syscall}`), { code, errno: -errno, syscall });
}

describe('Errors of the file system', { skip: process.platform !== 'linux' }, () => {
  it('that Node has no name for get the one of the kernel', () => {
    assert.equal(getSystemErrorName(-EDQUOT), `Unknown system error -${EDQUOT}`, 'else this is needless');
    const quota = fsError(unnamed(EDQUOT, 'write'), '/store/journal/x');
    assert.equal(quota.code, 'EDQUOT');
    assert.equal(quota.message, "EDQUOT: disk quota exceeded, write '/store/journal/x'");
    const stale = fsError(unnamed(ESTALE, 'open'), '/store/stanchion.json');
    assert.equal(stale.message, "ESTALE: stale file handle, open '/store/stanchion.json'");
  });

  it('are known for what they are, wherever they come from', () => {
    assert.ok(isNoSpace(unnamed(EDQUOT, 'mkdir')));
    assert.ok(isGone(unnamed(ESTALE, 'read')));
    assert.equal(errorCode(new Error('no')), undefined);
    assert.equal(errorCode(undefined), undefined);
  });

  it('name the file also where Node knows its number only', async (t) => {
    const path = join(temporaryDirectory(t), 'file');
    const file = await nodeFs.open(path, 'create');
    await file.close();
    await assert.rejects(file.sync(), { code: 'EBADF', path, message: new RegExp(`fdatasync '${path}'$`) });
    await assert.rejects(nodeFs.open(path, 'create'), {
      code: 'EEXIST',
      message: /^EEXIST: .*, open '[^']*'$/,
    });
  });
});
