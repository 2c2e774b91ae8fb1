import assert from 'node:assert/strict';
import fs from 'node:fs';
import { beforeEach, describe, it, type TestContext } from 'node:test';
import { type FileStatus, nodeFs, type StoreFs } from '../../src/files/fs.js';
import { StoreAnchor } from '../../src/lease/store-anchor.js';
import { temporaryDirectory } from '../store/file-support.js';

function make(dir: string): void {
  fs.mkdirSync(dir);
  fs.writeFileSync(`${dir}/stanchion.json`, '{}');
}

describe("the identity of a store's folder", () => {
  let parent: string;
  let dir: string;
  let anchor: StoreAnchor;

  beforeEach((t) => {
    parent = temporaryDirectory(t as TestContext);
    dir = `${parent}/store`;
    anchor = new StoreAnchor(nodeFs, dir);
    (t as TestContext).after(() => anchor.close());
  });

  it('is the same whatever becomes of the files in it, and wherever the folder is put', async () => {
    assert.equal(await anchor.look(), 'same', 'there is nothing yet');
    make(dir);
    assert.equal(await anchor.look(), 'same', 'the first look');
    fs.writeFileSync(`${dir}/stanchion.json`, '{ "a": 1 }');
    fs.mkdirSync(`${dir}/journal`);
    fs.renameSync(dir, `${parent}/moved`);
    assert.equal(await anchor.look(), 'same', 'the path leads nowhere');
    fs.symlinkSync(`${parent}/moved`, dir);
    assert.equal(await anchor.look(), 'same', 'the path leads there by another way');
  });

  it('is another one when a copy is there instead', async () => {
    make(dir);
    await anchor.look();
    fs.cpSync(dir, `${parent}/copy`, { recursive: true });
    fs.renameSync(dir, `${parent}/real`);
    fs.renameSync(`${parent}/copy`, dir);
    assert.equal(await anchor.look(), 'replaced');
    assert.equal(await anchor.look(), 'replaced');
    fs.renameSync(dir, `${parent}/copy`);
    fs.renameSync(`${parent}/real`, dir);
    assert.equal(await anchor.look(), 'same');
  });

  it('is another one when it was removed and made again, though numbers of files are given out again', async () => {
    for (let round = 0; round < 20; round++) {
      const path = `${parent}/store-${round}`;
      const here = new StoreAnchor(nodeFs, path);
      make(path);
      await here.look();
      fs.rmSync(path, { recursive: true });
      make(path);
      assert.equal(await here.look(), 'replaced');
      here.close();
    }
  });

  it('is mounted anew when the same files are there by another device, which is known from then on', async () => {
    let device = 7n;
    let status: (() => Promise<FileStatus>) | undefined;
    const remounted: StoreFs = {
      ...nodeFs,
      status: async (path) => status?.() ?? { ...(await nodeFs.status(path))!, device },
    };
    make(dir);
    anchor = new StoreAnchor(remounted, dir);
    await anchor.look();
    device = 8n;
    assert.equal(await anchor.look(), 'remounted');
    assert.equal(await anchor.look(), 'same');
    status = () => Promise.reject(new Error('EIO'));
    await assert.rejects(anchor.look(), /EIO/);
    status = undefined;
    assert.equal(await anchor.look(), 'same');
  });

  it('is looked at once at a time, also where that hangs', async () => {
    let looks = 0;
    let end!: () => void;
    const hung = new Promise<void>((resolve) => {
      end = resolve;
    });
    const status: StoreFs['status'] = async (path) => {
      looks++;
      await hung;
      return nodeFs.status(path);
    };
    make(dir);
    anchor = new StoreAnchor({ ...nodeFs, status }, dir);
    const all = [anchor.look(), anchor.look(), anchor.look()];
    assert.equal(looks, 1);
    end();
    assert.deepEqual(await Promise.all(all), ['same', 'same', 'same']);
  });
});
