import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SourceError } from '../../../src/import/types/source-error.js';
import { knownStore, putGoStore } from '../../data/go-stores/known-stores.js';
import { KINDS, type Kind } from '../../data/go-stores/scenario.js';
import { messagesOf, sourceOf } from './compare.js';
import { messagesFrom, writeSlice } from './written-store.js';

describe("a Go server's encrypted store", () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-keys-'));
  const encrypted = KINDS.filter(({ key }) => key !== undefined);
  before(() => {
    for (const kind of KINDS) putGoStore(kind, join(root, kind.name));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const refused = async (kind: Kind, key: Buffer | undefined, isLenient: boolean): Promise<string> => {
    try {
      await sourceOf(join(root, kind.name), kind, knownStore(kind), { key, isLenient }).open();
    } catch (error) {
      assert.ok(error instanceof SourceError, String(error));
      assert.equal(error.code, 'key');
      return error.message;
    }
    throw new Error('the store is opened');
  };

  it('is there to be tried', () => assert.equal(encrypted.length, 2));

  for (const kind of encrypted) {
    for (const isLenient of [false, true]) {
      const how = `${kind.name}, ${isLenient ? 'lenient' : 'strict'}`;
      it(`is not opened without its key, and says how to give it (${how})`, async () => {
        assert.match(
          await refused(kind, undefined, isLenient),
          /message \d+ of channel .* is encrypted: .*NATS_STREAMING_ENCRYPTION_KEY/,
        );
      });

      it(`is not opened with another key (${how})`, async () => {
        assert.match(
          await refused(kind, Buffer.from('another key'), isLenient),
          /is encrypted with another key/,
        );
      });
    }
  }

  it('has clear messages that begin like encrypted ones: they come along as they are, which is noted', async () => {
    const dir = join(root, 'clear');
    const like = Buffer.concat([Buffer.from([1]), Buffer.alloc(60, 'clear ')]);
    writeSlice(join(dir, 'x'), 1, [...messagesFrom(1, 3), { sequence: 4, data: like }]);
    const [kind] = encrypted;
    assert.ok(kind);
    for (const key of [undefined, Buffer.from(kind.key ?? '')]) {
      const source = sourceOf(dir, kind, { atMs: Date.now() }, { key });
      const { channels } = await source.open();
      const [channel] = channels;
      assert.ok(channel);
      assert.equal((await messagesOf(source, channel)).length, 4);
      assert.deepEqual(
        source.problems.map(({ isLoss }) => isLoss),
        key === undefined ? [] : [false],
      );
    }
  });
});

describe('a Go server that still runs', {
  skip: process.platform === 'linux' ? false : 'other systems have no /proc',
}, () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-runs-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  it('is seen by the files that it has open for writing, and one that reads them is not', async () => {
    const [kind] = KINDS;
    assert.ok(kind);
    putGoStore(kind, join(root, 'store'));
    const open = () => sourceOf(join(root, 'store'), kind, knownStore(kind)).open();
    const withFile = async (flags: string) => {
      const file = openSync(join(root, 'store', 'clients.dat'), flags);
      const child = spawn('sleep', ['60'], { stdio: [file, 'ignore', 'ignore'] });
      closeSync(file);
      try {
        return await open();
      } finally {
        child.kill();
      }
    };
    await assert.rejects(
      withFile('r+'),
      (error) =>
        error instanceof SourceError &&
        error.code === 'in-use' &&
        /process \d+ has .*clients\.dat open/.test(error.message),
    );
    assert.equal((await withFile('r')).channels.length, 7);
  });
});
