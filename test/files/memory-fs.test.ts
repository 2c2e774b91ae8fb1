import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MemoryFs } from '../../src/files/memory-fs.js';
import { testFileSystem } from '../../src/files/self-test.js';

it('the file system in memory does what a store needs, as the test of each store at its start finds', async () => {
  const fs = new MemoryFs(setImmediate);
  await fs.makeDirectory('/store/lease');
  await testFileSystem(fs, '/store', 1, 'unique');
  assert.deepEqual((await fs.list('/store')).sort(), ['lease']);
});

it('memory of a file that is gone is used again, with zeros, and not before its last name is gone and it is closed', async () => {
  const fs = new MemoryFs(setImmediate);
  await fs.makeDirectory('/d');
  const write = (path: string, text: string): Promise<void> =>
    fs.open(path, 'create').then(
      (file) =>
        new Promise((resolve) => {
          const bytes = Buffer.from(text);
          file.write(bytes, 0, bytes.length, 0, () => void file.close().then(resolve));
        }),
    );
  const read = async (path: string): Promise<string> => {
    const file = await fs.open(path, 'read');
    const bytes = Buffer.alloc(32);
    const count = await file.read(bytes, 0, bytes.length, 0);
    await file.close();
    return bytes.toString('latin1', 0, count);
  };
  await write('/d/a', 'first content');
  await fs.link('/d/a', '/d/b');
  const open = await fs.open('/d/a', 'read');
  await fs.unlink('/d/a');
  await write('/d/c', 'second');
  assert.equal(await read('/d/b'), 'first content');
  await fs.unlink('/d/b');
  await write('/d/e', 'third');
  const bytes = Buffer.alloc(32);
  assert.equal(await open.read(bytes, 0, 32, 0), 13, 'it is still open');
  await open.close();
  await write('/d/f', 'x');
  const late = await fs.open('/d/f', 'write');
  await late.truncate(6);
  assert.equal(await read('/d/f'), 'x\0\0\0\0\0');
  fs.end();
  assert.equal(fs.bytes, 0);
});
