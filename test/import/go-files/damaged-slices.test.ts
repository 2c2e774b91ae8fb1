import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { GoFileSource } from '../../../src/import/go-files/go-file-source.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { NO_LIMITS, sha1 } from '../../data/go-stores/scenario.js';
import { messagesOf } from './compare.js';
import { messageRecord, messagesFrom, type Part, writeSlice } from './written-store.js';

describe('the files of a channel', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-slices-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const file = (number: number, ext: string) => join(dir, 'x', `msgs.${number}.${ext}`);
  const write = (number: number, parts: readonly Part[]) => writeSlice(join(dir, 'x'), number, parts);

  async function read(isLenient: boolean) {
    const serverSeen = () => Promise.resolve(undefined);
    const source = new GoFileSource({
      dir,
      limits: () => NO_LIMITS,
      isLenient,
      isCrcChecked: true,
      serverSeen,
    });
    const { channels } = await source.open();
    const [channel] = channels;
    assert.ok(channel);
    const messages = await messagesOf(source, channel);
    return {
      channel,
      messages,
      sequences: messages.map(({ sequence }) => sequence),
      problems: source.problems,
    };
  }

  async function refused(): Promise<string> {
    try {
      await read(false);
    } catch (error) {
      assert.ok(error instanceof SourceError, String(error));
      assert.equal(error.code, 'damaged');
      return error.message;
    }
    throw new Error('the source is read');
  }

  const from = (first: number, last: number) => messagesFrom(first, last).map(({ sequence }) => sequence);

  it('are read without an index', async () => {
    write(1, messagesFrom(1, 9));
    unlinkSync(file(1, 'idx'));
    const { sequences, problems, channel } = await read(false);
    assert.deepEqual(sequences, from(1, 9));
    assert.equal(channel.messages, 9);
    assert.deepEqual(problems, []);
  });

  it('are read behind the end of an index that lags', async () => {
    write(1, messagesFrom(1, 9));
    truncateSync(file(1, 'idx'), 4 + 5 * 32);
    const { sequences, problems } = await read(false);
    assert.deepEqual(sequences, from(1, 9));
    assert.deepEqual(problems, []);
  });

  for (const [what, damage] of [
    ['with a bad row', (bytes: Buffer) => bytes.fill(7, 100, 102)],
    [
      'without some rows in its middle',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4 + 3 * 32), bytes.subarray(4 + 5 * 32)]),
    ],
    [
      'without its first rows',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), bytes.subarray(4 + 2 * 32)]),
    ],
    ['with half a row at its end', (bytes: Buffer) => bytes.subarray(0, bytes.length - 5)],
  ] as const) {
    it(`are read by the data file where there is an index ${what}, which is noted`, async () => {
      write(1, messagesFrom(1, 9));
      writeFileSync(file(1, 'idx'), damage(readFileSync(file(1, 'idx'))));
      const { sequences, problems } = await read(false);
      assert.deepEqual(sequences, from(1, 9));
      assert.deepEqual(
        problems.map(({ isLoss, where }) => ({ isLoss, where })),
        [{ isLoss: false, where: file(1, 'idx') }],
      );
    });
  }

  it('are padded with zeros', async () => {
    write(1, [...messagesFrom(1, 3), Buffer.alloc(500)]);
    for (const hasIndex of [true, false]) {
      if (!hasIndex) unlinkSync(file(1, 'idx'));
      const { sequences, problems } = await read(false);
      assert.deepEqual(sequences, from(1, 3));
      assert.deepEqual(problems, []);
    }
  });

  it('have a gap where a slice is missing, which is noted and no loss', async () => {
    write(1, messagesFrom(1, 3));
    write(4, messagesFrom(8, 9));
    const { sequences, problems, channel } = await read(false);
    assert.deepEqual(sequences, [1, 2, 3, 8, 9]);
    assert.deepEqual([channel.firstSequence, channel.lastSequence, channel.messages], [1, 9, 5]);
    assert.match(problems[0]?.text ?? '', /messages 4 to 7 are in no file/);
    assert.equal(problems[0]?.isLoss, false);
  });

  it('end with half a message that the index does not list: the old server never served it', async () => {
    write(1, [...messagesFrom(1, 3), messageRecord({ sequence: 4, data: 'half' }).subarray(0, 20)]);
    const { sequences, problems } = await read(false);
    assert.deepEqual(sequences, from(1, 3));
    assert.deepEqual(
      problems.map(({ isLoss }) => isLoss),
      [false],
    );
  });

  it('end with half a message and have no index: the import is refused with file and offset, unless it is lenient', async () => {
    const half = messageRecord({ sequence: 4, data: 'half' }).subarray(0, 20);
    write(1, [...messagesFrom(1, 3), half]);
    unlinkSync(file(1, 'idx'));
    const offset = readFileSync(file(1, 'dat')).length - half.length;
    assert.ok((await refused()).startsWith(`${file(1, 'dat')} at byte ${offset}: `));
    const { sequences, problems } = await read(true);
    assert.deepEqual(sequences, from(1, 3));
    assert.deepEqual(
      problems.map(({ isLoss, where, offset: at }) => [isLoss, where, at]),
      [[true, file(1, 'dat'), offset]],
    );
  });

  it('lack messages that the index lists: the import is refused, unless it is lenient', async () => {
    const { offsets } = write(1, messagesFrom(1, 9));
    truncateSync(file(1, 'dat'), offsets[6]);
    assert.match(await refused(), /the index lists messages up to 9, the data file has them up to 6/);
    const { sequences, problems } = await read(true);
    assert.deepEqual(sequences, from(1, 6));
    assert.ok(problems.some(({ isLoss }) => isLoss));
  });

  for (const hasIndex of [true, false]) {
    it(`have a bad CRC ${hasIndex ? 'with' : 'without'} an index: the import is refused, and a lenient one loses this message alone`, async () => {
      const { offsets } = write(1, messagesFrom(1, 9));
      if (!hasIndex) unlinkSync(file(1, 'idx'));
      const bytes = readFileSync(file(1, 'dat'));
      const at = (offsets[4] ?? 0) + 15;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(file(1, 'dat'), bytes);
      assert.ok((await refused()).startsWith(`${file(1, 'dat')} at byte ${offsets[4]}: `));
      const { sequences, problems } = await read(true);
      assert.deepEqual(sequences, [1, 2, 3, 4, 6, 7, 8, 9]);
      assert.deepEqual(
        problems.map(({ isLoss, offset }) => [isLoss, offset]),
        [[true, offsets[4]]],
      );
      assert.match(problems[0]?.text ?? '', /messages 5 to 5 are lost/);
    });
  }

  it('lie beside folders and files that are no channels', async () => {
    write(1, messagesFrom(1, 3));
    mkdirSync(join(dir, 'lost+found'));
    mkdirSync(join(dir, 'empty'));
    writeFileSync(join(dir, 'notes.txt'), 'not a folder');
    symlinkSync(join(dir, 'nowhere'), join(dir, 'broken-link'));
    writeFileSync(file(7, 'idx'), Buffer.from([1, 0, 0, 0]));
    const { sequences, problems } = await read(false);
    assert.deepEqual(sequences, from(1, 3));
    assert.deepEqual(
      problems.map(({ where, isLoss }) => [where, isLoss]),
      [
        [join(dir, 'empty'), false],
        [join(dir, 'lost+found'), false],
        [file(7, 'idx'), false],
      ],
    );
  });

  it('are too short for a version: the import is refused, unless it is lenient', async () => {
    write(1, messagesFrom(1, 3));
    write(2, messagesFrom(4, 5));
    truncateSync(file(2, 'dat'), 3);
    assert.match(await refused(), /the file is too short to have a version/);
    const { sequences, problems } = await read(true);
    assert.deepEqual(sequences, from(1, 3));
    assert.deepEqual(
      problems.map(({ isLoss }) => isLoss),
      [true],
    );
  });

  it('have zeros in the middle: a lenient import reads on behind them', async () => {
    const { offsets } = write(1, messagesFrom(1, 9));
    unlinkSync(file(1, 'idx'));
    const bytes = readFileSync(file(1, 'dat'));
    bytes.fill(0, offsets[3], offsets[5]);
    writeFileSync(file(1, 'dat'), bytes);
    assert.match(await refused(), /there are zeros with data behind them/);
    const { sequences } = await read(true);
    assert.deepEqual(sequences, [1, 2, 3, 6, 7, 8, 9]);
  });

  for (const hasIndex of [true, false]) {
    it(`have messages that a crash left and later ones replaced, ${hasIndex ? 'with' : 'without'} an index: the later ones come along`, async () => {
      const left = [4, 5].map((sequence) => messageRecord({ sequence, data: 'never acknowledged' }));
      write(1, [...messagesFrom(1, 3), ...left, ...messagesFrom(4, 7)]);
      write(2, messagesFrom(8, 9));
      // Left at the end of the slice before the last one.
      appendFileSync(file(1, 'dat'), messageRecord({ sequence: 8, data: 'never acknowledged' }));
      if (!hasIndex) unlinkSync(file(1, 'idx'));
      const { messages, problems, channel } = await read(false);
      assert.deepEqual(
        messages.map(({ sequence, sha1: hash }) => [sequence, hash]),
        messagesFrom(1, 9).map(({ sequence, data }) => [sequence, sha1(data)]),
      );
      assert.equal(channel.messages, 9);
      assert.deepEqual(
        problems.map(({ isLoss }) => isLoss),
        [false],
      );
    });
  }

  it('are read with messages larger than any chunk', async () => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'large ');
    const parts = [...messagesFrom(1, 3), { sequence: 4, data: large }, ...messagesFrom(5, 6)];
    write(1, parts);
    const { messages } = await read(false);
    assert.deepEqual(
      messages.map(({ sequence, sha1: hash }) => [sequence, hash]),
      parts.map(({ sequence, data }) => [sequence, sha1(data)]),
    );
  });
});
