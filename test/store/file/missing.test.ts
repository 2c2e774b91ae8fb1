import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { writeFile } from '../../../src/files/file-io.js';
import type { StoreError } from '../../../src/files/store-error.js';
import { FILE_HEADER_BYTES } from '../../../src/store/format/file-header.js';
import { DIR, LeasedTerm, readStore, repair, verify } from '../leased-store.js';
import { SimFs } from '../sim-fs.js';
import { readAll } from '../support.js';

const texts = (count: number, word = 'message'): string[] =>
  Array.from({ length: count }, (_, i) => `${word} ${i + 1}`);

function copyOf(fs: SimFs): SimFs {
  return fs.restarted('written');
}

function filesOf(fs: SimFs, folder: string): string[] {
  return fs
    .paths()
    .filter((path) => path.startsWith(`${DIR}/${folder}/`) && !path.endsWith('.tmp'))
    .sort();
}

/** What lies in the folders that count. */
function contentOf(fs: SimFs): string[] {
  return ['journal', 'segments', 'checkpoints'].flatMap((folder) => filesOf(fs, folder));
}

/** That a broker does not open the store, verify finds it, and neither changes anything. @returns what the broker says */
async function refused(fs: SimFs): Promise<string> {
  const files = contentOf(fs);
  const { damages } = await verify(fs);
  assert.ok(damages.length > 0, 'verify finds it');
  let said = '';
  await assert.rejects(LeasedTerm.begin(fs), (error: StoreError) => {
    said = error.message;
    return error.code === 'damaged';
  });
  assert.match(said, /store repair --dry-run/);
  assert.deepEqual(contentOf(fs), files);
  return said;
}

/** 1,001 messages, then two starts that find nothing to do: only the checkpoint names the segment. */
async function restartedIdle(): Promise<SimFs> {
  const fs = new SimFs();
  const first = await LeasedTerm.begin(fs);
  await first.publish('orders', texts(1001));
  await first.end();
  const second = await LeasedTerm.begin(fs);
  await second.checkpoint();
  await second.end();
  for (let start = 0; start < 2; start++) await (await LeasedTerm.begin(fs)).end();
  return fs;
}

/** 500 messages in a segment, then 200 in the journals of the newest term. */
async function twoTerms(): Promise<SimFs> {
  const fs = new SimFs();
  const first = await LeasedTerm.begin(fs);
  await first.publish('orders', texts(500));
  await first.checkpoint();
  await first.end();
  const second = await LeasedTerm.begin(fs, { journalBytes: 8 * 1024 * 1024 });
  // More than the first journal takes.
  for (let batch = 0; batch < 5; batch++) await second.publish('orders', texts(40, 'x'.repeat(10_000)));
  await second.end();
  return fs;
}

/** One burst as one batch, in the only journal. */
async function oneBurst(): Promise<SimFs> {
  const fs = new SimFs();
  const term = await LeasedTerm.begin(fs);
  await term.publish('orders', texts(200, 'of a burst'));
  await term.end();
  return fs;
}

describe('a checkpoint that is gone', () => {
  let whole: SimFs;

  before(async () => {
    whole = await restartedIdle();
    assert.equal((await readStore(copyOf(whole), 'orders')).length, 1001);
  });

  it('is missed by the term that began from it: the store is refused by its name, and all its messages are saved', async () => {
    const fs = copyOf(whole);
    const checkpoints = filesOf(fs, 'checkpoints');
    assert.equal(checkpoints.length, 1);
    await fs.unlink(checkpoints[0]!);
    const said = await refused(fs);
    assert.ok(said.includes(checkpoints[0]!), said);
    const { result, report } = await repair(fs);
    assert.equal(result, 'repaired');
    assert.match(report.also.join(), /the checkpoint/);
    assert.deepEqual((await verify(fs)).damages, []);
    assert.deepEqual(await readStore(fs, 'orders'), texts(1001));
  });

  it('is missed too where the lease says nothing of what was durable', async () => {
    const fs = copyOf(whole);
    await fs.unlink(filesOf(fs, 'checkpoints')[0]!);
    await assert.rejects(LeasedTerm.begin(fs, { served: { servedEpoch: 0, servedBatch: 0 } }), {
      code: 'damaged',
    });
  });

  it('is missed with everything else gone but the identity and the lease', async () => {
    const fs = copyOf(whole);
    for (const path of contentOf(fs)) await fs.unlink(path);
    assert.match(await refused(fs), /has served, as the lease says/);
    for (const path of fs.paths()) if (path.startsWith(`${DIR}/stanchion.`)) await fs.unlink(path);
    for (const folder of ['journal', 'segments', 'checkpoints', 'reserve'])
      await fs.removeDirectory(`${DIR}/${folder}`);
    await assert.rejects(
      LeasedTerm.begin(fs),
      /stanchion\.json is damaged.* the file is missing, and the lease says/,
    );
  });
});

describe('a journal that is gone', () => {
  let whole: SimFs;

  before(async () => {
    whole = await twoTerms();
    assert.equal((await readStore(copyOf(whole), 'orders')).length, 700);
  });

  it('is missed, whichever it is, and what is left is saved', async () => {
    const journals = filesOf(whole, 'journal').filter((path) => path.includes('00000002.'));
    assert.equal(journals.length, 2);
    for (const gone of [...journals.map((path) => [path]), journals]) {
      const fs = copyOf(whole);
      for (const path of gone) await fs.unlink(path);
      await refused(fs);
      const { result, report } = await repair(fs);
      assert.equal(result, 'repaired');
      assert.ok(report.lost.length + report.doubtful.length > 0, 'what is lost is reported');
      assert.deepEqual((await verify(fs)).damages, []);
      assert.deepEqual((await readStore(fs, 'orders')).slice(0, 500), texts(500));
    }
  });

  it('is missed where it lies under the name of another one', async () => {
    const fs = new SimFs();
    for (const word of ['first', 'second', 'third']) {
      const term = await LeasedTerm.begin(fs);
      await term.publish('orders', texts(5, word));
      await term.end();
    }
    const [one, , three] = filesOf(fs, 'journal');
    const content = fs.content(one!);
    fs.replace(one!, fs.content(three!));
    fs.replace(three!, content);
    assert.match(await refused(fs), /its header says that it is journal/);
    assert.equal((await repair(fs)).result, 'repaired');
    assert.deepEqual(await readStore(fs, 'orders'), [
      ...texts(5, 'first'),
      ...texts(5, 'second'),
      ...texts(5, 'third'),
    ]);
  });

  it('is missed where it was emptied, cut, or replaced by an older copy of itself', async () => {
    const older = new Map<string, Buffer>();
    const fs = new SimFs();
    const term = await LeasedTerm.begin(fs);
    await term.publish('orders', texts(10));
    for (const path of filesOf(fs, 'journal')) older.set(path, Buffer.from(fs.content(path)));
    await term.publish('orders', texts(10, 'later'));
    await term.end();
    const [journal] = filesOf(fs, 'journal');
    const content = fs.content(journal!);
    for (const left of [Buffer.alloc(0), content.subarray(0, 500), older.get(journal!)!]) {
      const damaged = copyOf(fs);
      damaged.replace(journal!, Buffer.from(left));
      await refused(damaged);
    }
  });
});

describe('a journal with a part full of zeros', () => {
  let whole: SimFs;
  let journal: string;
  let used: number;

  before(async () => {
    whole = await oneBurst();
    journal = filesOf(whole, 'journal')[0]!;
    const content = whole.content(journal);
    used = content.length;
    while (content[used - 1] === 0) used--;
    assert.ok(used > 12 * 1024);
  });

  function zeroed(from: number, to: number): SimFs {
    const fs = copyOf(whole);
    fs.replace(journal, Buffer.from(whole.content(journal)).fill(0, from, to));
    return fs;
  }

  it('is damaged, and not one that was never used: header, first block, middle, last block, all of it', async () => {
    const parts: [number, number][] = [
      [0, FILE_HEADER_BYTES],
      [0, 4096],
      [FILE_HEADER_BYTES, 4096],
      [4096, 8192],
      [used - 4096, used],
      [0, used],
    ];
    for (const [from, to] of parts) await refused(zeroed(from, to));
  });

  it('is damaged also where the lease says nothing, if there is anything behind a header or term record of zeros', async () => {
    const served = { servedEpoch: 0, servedBatch: 0 };
    for (const [from, to] of [
      [0, FILE_HEADER_BYTES],
      [0, 4096],
      [FILE_HEADER_BYTES, 4096],
    ] as const)
      await assert.rejects(LeasedTerm.begin(zeroed(from, to), { served }), { code: 'damaged' });
  });

  it('ends in a torn batch, which is cut, if the lease does not say that the batch was durable', async () => {
    const fs = new SimFs();
    const term = await LeasedTerm.begin(fs);
    await term.publish('orders', texts(3));
    const before = end(fs.content(journal));
    await term.publish('orders', texts(200, 'of a burst'));
    await term.end();
    // As a crash leaves it: the lease is that of the moment before, and any page may be missing.
    const [lease] = filesOf(fs, 'lease');
    const renamed = `${DIR}/lease/v1.00000001.000003.served-1-2.alone-3000.released`;
    await fs.rename(lease!, renamed);
    for (const page of [Math.ceil(before / 4096) * 4096, end(fs.content(journal)) - 4096]) {
      const torn = copyOf(fs);
      torn.replace(journal, Buffer.from(fs.content(journal)).fill(0, page, page + 4096));
      const next = await LeasedTerm.begin(torn);
      assert.match(next.warnings.join(), /torn by a crash/);
      assert.equal(next.log('orders').lastSequence, 3);
      await next.end();
    }
  });
});

describe('a journal that goes on behind the position of a checkpoint', () => {
  it('is verified before that position too, up to the last byte', async () => {
    const fs = new SimFs();
    const term = await LeasedTerm.begin(fs);
    await term.publish('orders', texts(20));
    const [journal] = filesOf(fs, 'journal');
    const at = end(fs.content(journal!)) - 2;
    await term.checkpoint();
    await term.end();
    assert.deepEqual((await verify(fs)).damages, []);
    const content = Buffer.from(fs.content(journal!));
    content[at] = content[at]! ^ 1;
    fs.replace(journal!, content);
    const { damages } = await verify(fs);
    assert.deepEqual(
      damages.map(({ path }) => path),
      [journal],
    );
    assert.deepEqual(await readStore(fs, 'orders'), texts(20), 'a checkpoint stands for it');
  });
});

describe('a checkpoint of a broker that has lost the lease', () => {
  it('does not count once its successor has begun from the one before: the segments that it names may be gone', async () => {
    const fs = new SimFs();
    const first = await LeasedTerm.begin(fs);
    await first.publish('orders', texts(10));
    await first.checkpoint();
    await first.publish('orders', texts(10, 'second'));
    const before = copyOf(fs);
    await first.checkpoint();
    const late = filesOf(fs, 'checkpoints').at(-1)!;
    // The successor begins without it; then the rename of the former active comes through.
    const second = await LeasedTerm.begin(before);
    await second.publish('orders', ['third 1']);
    await writeFile(before, late, fs.content(late));
    const third = await LeasedTerm.begin(before.restarted('written'));
    assert.match(third.warnings.join(), /came after the next term had begun/);
    assert.deepEqual(await readAll(third.log('orders')), [...texts(10), ...texts(10, 'second'), 'third 1']);
    await Promise.all([first, second, third].map((term) => term.store.close()));
  });
});

function end(content: Buffer): number {
  let at = content.length;
  while (at > 0 && content[at - 1] === 0) at--;
  return at;
}
