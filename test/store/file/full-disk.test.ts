import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Measures } from '../../../src/measures/measures.js';
import type { ClientRecord } from '../../../src/store/types/store.js';
import { within } from '../../harness/wait.js';
import { checkpointed, type OpenedStore, SMALL, Terms, until } from '../file-support.js';
import { failure, SimFs } from '../sim-fs.js';
import { NO_LIMITS, progressOf, pubMsg, readAll } from '../support.js';

const CLIENT: ClientRecord = {
  clientId: 'client',
  heartbeatInbox: 'hb',
  connId: Buffer.from('conn'),
  protocol: 1,
  pingIntervalSeconds: 5,
  pingMaxOut: 3,
  session: 17,
};
const MESSAGE = 'x'.repeat(30_000);

/** A disk on which some files cannot be made, for a while. */
class FullDisk extends SimFs {
  isFull = false;
  freeBytes?: () => Promise<number>;

  /** @param inFolder of the store, if only files there cannot be made */
  constructor(inFolder = '', code = 'ENOSPC') {
    super();
    // Whoever writes to a file that is there needs no room: it is not written beyond its end.
    this.onOperation = (operation, path) => {
      if (this.isFull && operation === 'open' && path.includes(`/${inFolder}`)) throw failure(code, path);
    };
  }

  names(folder: string): string[] {
    return this.paths().filter((path) => path.includes(`/${folder}/`));
  }
}

async function openFull(terms: Terms, disk: FullDisk): Promise<OpenedStore> {
  const opened = await terms.open(SMALL);
  await until(
    () => opened.store.admit(900_000) === 'yes',
    'the next journal: all of the first one may be used',
  );
  disk.isFull = true;
  return opened;
}

describe('a file store on a full disk', () => {
  it('admits no more messages at once than it has room for, and what is no message goes on behind them', async (t) => {
    const disk = new FullDisk();
    const terms = new Terms(t, disk);
    const { store, host } = await openFull(terms, disk);
    const log = store.createLog('foo', NO_LIMITS);
    while (store.admit(MESSAGE.length) === 'yes') log.append(pubMsg('foo', MESSAGE), 1);
    assert.ok(log.lastSequence > 40, `${log.lastSequence} found room: two files are there`);
    for (let id = 1; id <= 100; id++) store.recordProgress(progressOf(id, [1, 2], [1, 1]));
    await within(host.commit(), 'all of it is durable', 5_000);
    await until(() => typeof store.admit(MESSAGE.length) === 'object', 'the rest is refused');
    assert.match(store.fullReason!, /no space left/);
    const { lastSequence } = log;
    await store.close();
    disk.isFull = false;
    const again = await terms.open(SMALL);
    assert.equal((await readAll(again.store.recovered.logs[0]!)).length, lastSequence);
  });

  it('puts a message off while the file for it is being made, and says when to ask again', async (t) => {
    const disk = new FullDisk();
    const { store, host } = await new Terms(t, disk).open(SMALL);
    let asked = 0;
    host.onRoom = () => {
      asked++;
    };
    const log = store.createLog('foo', NO_LIMITS);
    let put = store.admit(MESSAGE.length);
    for (; put === 'yes'; put = store.admit(MESSAGE.length)) log.append(pubMsg('foo', MESSAGE), 1);
    assert.equal(put, 'later');
    store.commit();
    await until(() => asked > 0 && store.admit(MESSAGE.length) === 'yes', 'there is a file for it');
  });

  it('has room made for a message that is larger than a journal file', async (t) => {
    const { store, host } = await new Terms(t, new FullDisk()).open(SMALL);
    const log = store.createLog('foo', NO_LIMITS);
    const large = 'x'.repeat(3_000_000);
    await until(() => store.admit(large.length) === 'yes', 'room for it');
    log.append(pubMsg('foo', large), 1);
    await host.commit();
  });

  it('is not kept from giving room back by messages that have expired since', async (t) => {
    const disk = new FullDisk('segments/');
    const terms = new Terms(t, disk);
    const { store, host } = await openFull(terms, disk);
    const log = store.createLog('foo', { ...NO_LIMITS, maxAgeMs: 10_000 });
    for (let i = 0; i < 10; i++) log.append(pubMsg('foo', MESSAGE), 1);
    await host.commit();
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the first try');
    assert.deepEqual(disk.names('checkpoints'), []);
    terms.clock.wallMs += 60_000;
    store.expire();
    assert.equal(log.messageCount, 0);
    await until(() => disk.names('checkpoints').length === 1, 'the checkpoint');
    assert.deepEqual(disk.names('segments'), [], 'there was nothing to write to one');
    assert.equal(host.failed, undefined);
  });

  it('makes no checkpoints for the journal file that it writes to, of whose messages none is left', async (t) => {
    const disk = new FullDisk('journal/');
    const terms = new Terms(t, disk);
    const opened = await openFull(terms, disk);
    const { store, host } = opened;
    const log = store.createLog('foo', { ...NO_LIMITS, maxAgeMs: 10_000 });
    while (store.admit(MESSAGE.length) === 'yes') log.append(pubMsg('foo', MESSAGE), 1);
    await host.commit();
    await until(() => store.fullReason !== undefined, 'the disk is full');
    await checkpointed(opened);
    const journals = disk.names('journal').length;
    terms.clock.wallMs += 60_000;
    const soon = async (): Promise<void> => {
      store.expire();
      await new Promise<void>((resolve) => {
        terms.clock.setTimer(0, resolve);
      });
      await until(() => store.upkeep.isIdle, 'a checkpoint, if one is made');
    };
    await soon();
    assert.equal(log.messageCount, 0);
    assert.equal(disk.names('journal').length, journals - 1, 'the file before it is gone');
    assert.notEqual(store.fullReason, undefined);
    const checkpoint = disk.names('checkpoints');
    await soon();
    await soon();
    assert.deepEqual(disk.names('checkpoints'), checkpoint);
  });

  for (const [what, freeBytes, code] of [
    ['the disk has little room left', 3_000_000, undefined],
    ['a quota has left none once, of which the disk says nothing', 3_000_000_000, 'EDQUOT'],
  ] as const) {
    it(`makes a checkpoint of each journal file where ${what}, so that limits give room back before it is missed`, async (t) => {
      const disk = new FullDisk('journal/', code);
      disk.freeBytes = async () => freeBytes;
      const measures = new Measures();
      const { store, host } = await new Terms(t, disk).open({ ...SMALL, measures });
      const log = store.createLog('foo', { ...NO_LIMITS, maxMessages: 10 });
      const fill = async (): Promise<void> => {
        for (let i = 0; i < 35; i++) {
          await until(() => store.admit(MESSAGE.length) === 'yes', 'room');
          log.append(pubMsg('foo', MESSAGE), 1);
          await host.commit();
        }
        await until(() => store.upkeep.isIdle, 'all is done');
      };
      if (code !== undefined) {
        disk.isFull = true;
        await until(async () => {
          if (store.admit(MESSAGE.length) === 'yes') log.append(pubMsg('foo', MESSAGE), 1);
          await host.commit();
          return store.fullReason !== undefined;
        }, 'the quota is used up');
        disk.isFull = false;
      }
      await fill();
      const before = measures.checkpoint.count;
      for (let i = 0; i < 6; i++) await fill();
      const made = measures.checkpoint.count - before;
      assert.ok(made >= 5, `${made} checkpoints of six files`);
      const spares = disk.names('journal').filter((name) => name.endsWith('.tmp')).length;
      assert.ok(spares <= 2, `${spares} files wait to be used again`);
    });
  }

  for (const [code, reason] of [
    ['ENOSPC', 'no space left on the device'],
    ['EDQUOT', 'disk quota used up'],
  ] as const) {
    it(`goes on out of what was set aside, whatever comes in, though no room comes back: ${code}`, async (t) => {
      const disk = new FullDisk('', code);
      const terms = new Terms(t, disk);
      const { store, host } = await terms.open(SMALL);
      const log = store.createLog('foo', NO_LIMITS);
      for (let i = 0; i < 20; i++) log.append(pubMsg('foo', MESSAGE), 1);
      await host.commit();
      await until(
        () => disk.names('reserve').filter((path) => !path.endsWith('.tmp')).length === 7,
        'reserve',
      );
      disk.isFull = true;
      // Far more than all the journals that are there can hold, were none of them used again.
      for (let round = 1; round <= 300; round++) {
        for (let i = 0; i < 200; i++) store.putClient({ ...CLIENT, clientId: 'x'.repeat(200) });
        await within(host.commit(), `round ${round}`, 5_000);
      }
      assert.deepEqual(store.admit(MESSAGE.length), { full: reason });
      assert.ok(disk.names('checkpoints').length === 1 && disk.names('segments').length === 1);
      await store.close();
      const again = await terms.open(SMALL);
      assert.equal((await readAll(again.store.recovered.logs[0]!)).length, 20);
      disk.isFull = false;
      await until(() => again.store.admit(MESSAGE.length) === 'yes', 'messages are taken again');
    });
  }
});
