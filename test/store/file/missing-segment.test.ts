import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { segmentName } from '../../../src/files/file-names.js';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { Lease } from '../../../src/lease/lease.js';
import { decodeCheckpoint } from '../../../src/store/format/checkpoint-format.js';
import { repairStore } from '../../../src/store/tools/repair-store.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import { checkpointed, type OpenedStore, SMALL, Terms, until } from '../file-support.js';
import { FORMER_CLUSTER_ID, putFormerStore } from '../former/former-store.js';
import { HastyClock, NO_LIMITS, pubMsg, random, read, readAll } from '../support.js';

const LOOK_AGAIN_MS = 3_000;

/** A store of one segment for each channel, which was closed. */
async function segmentPerChannel(
  t: TestContext,
  names: readonly string[],
  fs: StoreFs = nodeFs,
): Promise<{ terms: Terms; pathOf: (name: string) => string }> {
  const terms = new Terms(t, fs);
  const opened = await terms.open(SMALL);
  const paths = new Map<string, string>();
  for (const name of names) {
    const before = new Set(segmentsIn(terms));
    const log = opened.store.createLog(name, NO_LIMITS);
    for (let i = 1; i <= 10; i++) log.append(pubMsg(name, `${name} ${i}`), 1);
    await opened.host.commit();
    await checkpointed(opened);
    const [made] = segmentsIn(terms).filter((path) => !before.has(path));
    assert.ok(made !== undefined);
    paths.set(name, made);
  }
  await opened.store.close();
  return { terms, pathOf: (name) => paths.get(name) ?? assert.fail(name) };
}

function segmentsIn({ dir }: Terms): string[] {
  return readdirSync(`${dir}/segments`).map((name) => `${dir}/segments/${name}`);
}

function logOf({ store }: Pick<OpenedStore, 'store'>, name: string) {
  return store.recovered.logs.find((log) => log.name === name) ?? assert.fail(name);
}

async function verified({ fs, clock, dir }: Terms): Promise<string> {
  const { damages } = await storeVerify({ fs, clock, dir });
  return damages.map(({ path, what }) => `${path}: ${what}`).join('\n');
}

describe('A segment that is missing or short when the store is opened', () => {
  it('is reported before the first client, with the messages of its channels and no others', async (t) => {
    const { terms, pathOf } = await segmentPerChannel(t, ['a', 'b', 'c', 'd']);
    rmSync(pathOf('b'));
    truncateSync(pathOf('c'), 64);
    // All messages of this one are there.
    truncateSync(pathOf('d'), statSync(pathOf('d')).size - 1);
    const { store, warnings } = await terms.openOnly(SMALL);
    assert.deepEqual(
      store.unreadable.list().map(({ channel, first, last }) => [channel, first, last]),
      [
        ['b', 1, 10],
        ['c', 1, 10],
      ],
    );
    assert.deepEqual(
      store.unreadable.of(logOf({ store }, 'b')).map(({ why }) => why),
      [`${pathOf('b')}: the file is missing`],
    );
    assert.equal(store.segmentProblems.length, 3);
    assert.match(
      warnings.join('\n'),
      new RegExp(`${pathOf('b')}: the file is missing. .*messages 1 to 10 of channel b`),
    );
    assert.match(warnings.join('\n'), new RegExp(`${pathOf('c')}: the file has 64 bytes instead of`));
    assert.match(warnings.join('\n'), new RegExp(`${pathOf('d')}: .*No message is lost with it so far`));
    assert.equal((await readAll(logOf({ store }, 'a'))).at(-1), 'a 10');
    assert.equal((await readAll(logOf({ store }, 'd'))).at(-1), 'd 10');
    await assert.rejects(logOf({ store }, 'b').load(1), { code: 'ENOENT' });
    const damages = await verified(terms);
    for (const name of ['b', 'c', 'd']) assert.match(damages, new RegExp(pathOf(name)));
  });

  it('is read again once its file has been put back, while the store is open', async (t) => {
    const { terms, pathOf } = await segmentPerChannel(t, ['a', 'b']);
    const away = `${terms.dir}/away.seg`;
    renameSync(pathOf('b'), away);
    const opened = await terms.open({ ...SMALL, clock: new HastyClock(LOOK_AGAIN_MS) });
    const { store, warnings } = opened;
    assert.equal(store.unreadable.messageCount(), 10);
    copyFileSync(away, pathOf('b'));
    await until(() => store.unreadable.messageCount() === 0, 'the mark to go');
    assert.deepEqual(store.segmentProblems, []);
    assert.match(warnings.join('\n'), /is there again/);
    assert.equal(await read(logOf(opened, 'b'), 10), 'b 10');
  });

  it('keeps what older terms have left, which may have its messages, until a term finds all segments whole', async (t) => {
    const { terms, pathOf } = await segmentPerChannel(t, ['a', 'b']);
    const away = `${terms.dir}/away.seg`;
    renameSync(pathOf('b'), away);
    const left = [
      `${terms.dir}/segments/00000001.000099.seg`,
      `${terms.dir}/checkpoints/${readdirSync(`${terms.dir}/checkpoints`)[0]}`,
    ];
    // Messages stay in these.
    const journals = readdirSync(`${terms.dir}/journal`).map((name) => `${terms.dir}/journal/${name}`);
    copyFileSync(away, left[0] ?? assert.fail());
    const second = await terms.open(SMALL);
    await checkpointed(second);
    await checkpointed(second);
    await second.store.close();
    for (const path of [...left, ...journals]) assert.ok(existsSync(path), path);
    renameSync(away, pathOf('b'));
    const third = await terms.open(SMALL);
    await checkpointed(third);
    for (const path of left) assert.ok(!existsSync(path), path);
    assert.equal(await read(logOf(third, 'b'), 10), 'b 10');
  });

  it('does not keep younger messages of its channel beyond their age', async (t) => {
    const terms = new Terms(t);
    const first = await terms.open(SMALL);
    const log = first.store.createLog('a', NO_LIMITS);
    for (const text of ['1', '2', '3']) {
      log.append(pubMsg('a', text), 1);
      await first.host.commit();
      await checkpointed(first);
      terms.clock.pass(1_000);
    }
    await first.store.close();
    rmSync(segmentsIn(terms).sort()[0] ?? assert.fail());
    const { store } = await terms.openOnly(SMALL);
    const again = logOf({ store }, 'a');
    again.setLimits({ ...NO_LIMITS, maxAgeMs: 1_500 });
    store.expire();
    assert.equal(again.firstSequence, 3, 'the second was stored 2 s ago, the third 1 s');
  });

  it('does not stop merges: it is left alone, and the others become one', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const { store, host, warnings } = opened;
    const logs = Array.from({ length: 10 }, (_, i) => store.createLog(`c${i}`, NO_LIMITS));
    const round = async (text: string): Promise<void> => {
      for (const log of logs) log.append(pubMsg(log.name, text), 1);
      await host.commit();
      await checkpointed(opened);
    };
    await round('1');
    const gone = segmentsIn(terms)[0] ?? assert.fail();
    rmSync(gone);
    for (let i = 2; i <= 20; i++) await round(String(i));
    await until(() => store.upkeep.isIdle && segmentsIn(terms).length < 8, 'merges');
    assert.match(warnings.join('\n'), new RegExp(`Files were not merged: .*${gone} is left as it is`));
    assert.match(warnings.join('\n'), new RegExp(`${gone}: the file is missing`));
    await until(() => store.unreadable.channelCount() === logs.length, 'the marks');
    for (const log of logs) assert.equal(await read(log, 20), '20');
  });
});

describe('A repair of a store with a missing segment', () => {
  it('finds its messages in the journal in which they stay: nothing is lost, and the store is well then', async (t) => {
    const { terms, pathOf } = await segmentPerChannel(t, ['a', 'b']);
    rmSync(pathOf('b'));
    const epoch = ++terms.epoch;
    const lease = { epoch, fence: async () => {}, markServed: async () => {}, release: async () => {} };
    const { fs, dir, clock } = terms;
    await new Lease(fs, dir).create('repair');
    await repairStore({
      ...{ fs, clock, dir, random, clusterId: undefined, isDryRun: false },
      ask: async ({ lost }) => {
        assert.deepEqual(
          lost.map(({ channel, first, last }) => [channel, first, last]),
          [],
        );
        return true;
      },
      takeLease: async () => lease,
    });
    assert.doesNotMatch(await verified(terms), /segments/);
    const opened = await terms.open(SMALL);
    assert.deepEqual([opened.store.segmentProblems, opened.store.unreadable.list()], [[], []]);
    const log = logOf(opened, 'b');
    log.append(pubMsg('b', 'b 11'), 1);
    await opened.host.commit();
    assert.equal(await read(log, log.lastSequence), 'b 11');
    assert.deepEqual([log.firstSequence, log.lastSequence], [1, 11]);
    assert.equal(await read(log, 1), 'b 1');
    assert.equal((await readAll(logOf(opened, 'a'))).length, 10);
  });
});

describe('The footers of segments', () => {
  it('are read before anything is deleted that they replace, and one that is gone is reported', async (t) => {
    const { terms, pathOf } = await segmentPerChannel(t, ['a', 'b']);
    const size = statSync(pathOf('b')).size;
    truncateSync(pathOf('b'), size - 24);
    truncateSync(pathOf('b'), size);
    const left = `${terms.dir}/segments/00000001.000099.seg`;
    copyFileSync(pathOf('b'), left);
    const opened = await terms.open(SMALL);
    assert.deepEqual(opened.store.segmentProblems, []);
    await checkpointed(opened);
    assert.deepEqual(opened.store.segmentProblems, [`${pathOf('b')}: its footer is not whole`]);
    assert.equal(opened.store.unreadable.messageCount(), 0);
    assert.equal((await readAll(logOf(opened, 'b'))).at(-1), 'b 10');
    assert.ok(existsSync(left));
  });
});

describe('A segment of a store of release 0.1.0, whose checkpoints do not say lengths', () => {
  async function formerStore(t: TestContext): Promise<{ terms: Terms; segment: string }> {
    const terms = new Terms(t);
    await putFormerStore(nodeFs, terms.dir);
    terms.epoch = 2;
    return { terms, segment: segmentsIn(terms)[0] ?? assert.fail('it has a segment') };
  }
  const settings = { ...SMALL, clusterId: FORMER_CLUSTER_ID };

  it('is missed too, or found to be too short for what the checkpoint names in it', async (t) => {
    for (const [damage, what] of [
      [rmSync, /the file is missing/],
      [
        (path: string) => truncateSync(path, statSync(path).size - 1),
        /the file has \d+ bytes instead of \d+/,
      ],
    ] as const) {
      const { terms, segment } = await formerStore(t);
      damage(segment);
      const { store } = await terms.openOnly(settings);
      assert.match(store.segmentProblems.join(), what);
    }
  });

  it('has its length and footer in the checkpoint after next', async (t) => {
    const { terms, segment } = await formerStore(t);
    const opened = await terms.open(settings);
    await checkpointed(opened);
    await checkpointed(opened);
    const [name] = readdirSync(`${terms.dir}/checkpoints`);
    const path = `${terms.dir}/checkpoints/${name}`;
    const { segments } = decodeCheckpoint(path, readFileSync(path), opened.store.storeId);
    const named = segments.find((id) => segment.endsWith(segmentName(id)));
    assert.equal(named?.file?.bytes, statSync(segment).size);
    assert.deepEqual(opened.store.segmentProblems, []);
  });

  it('is taken up to its footer where something has appended bytes, and is no problem then', async (t) => {
    const { terms, segment } = await formerStore(t);
    const { size } = statSync(segment);
    appendFileSync(segment, Buffer.alloc(100, 'x'));
    const opened = await terms.open(settings);
    await checkpointed(opened);
    await checkpointed(opened);
    const [name] = readdirSync(`${terms.dir}/checkpoints`);
    const path = `${terms.dir}/checkpoints/${name}`;
    const { segments } = decodeCheckpoint(path, readFileSync(path), opened.store.storeId);
    assert.equal(segments.find((id) => segment.endsWith(segmentName(id)))?.file?.bytes, size);
    assert.deepEqual(opened.store.segmentProblems, []);
    assert.doesNotMatch(await verified(terms), /segments/);
    // Without a whole footer it is one.
    const { terms: others, segment: short } = await formerStore(t);
    const bytes = readFileSync(short);
    writeFileSync(short, Buffer.concat([bytes.subarray(0, -1), Buffer.alloc(100, 'x')]));
    const again = await others.open(settings);
    await checkpointed(again);
    assert.match(again.store.segmentProblems.join(), /its footer is not whole/);
  });
});
