import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { exportStore } from '../../../src/import/lines/export-store.js';
import { StoreReader } from '../../../src/store/tools/store-reader.js';
import { DIR } from '../../store/leased-store.js';
import { SimFs } from '../../store/sim-fs.js';
import { MadeUpSource, messages } from '../made-up-source.js';
import { clock, importFrom } from '../target/import-support.js';

describe('an export', () => {
  it('ends with the error of its file, also if that comes while it waits for a write', {
    timeout: 10_000,
  }, async () => {
    const fs = new SimFs();
    const channel = { name: 'a', firstSequence: 1, lastSequence: 5000, messages: messages(1, 5000) };
    await importFrom(fs, new MadeUpSource([channel]));
    const reader = await StoreReader.open({ fs, clock, dir: DIR });
    const file = new Writable({
      write: (_piece, _encoding, callback) => void setTimeout(callback, 20, new Error('no space left')),
    });
    const stream = new PassThrough();
    const writing = pipeline(stream, file).catch(() => {});
    const options = { madeAt: '', signal: new AbortController().signal, onProgress: () => {} };
    await assert.rejects(exportStore(reader, stream, options), /no space left/);
    await writing;
    reader.close();
  });
});
