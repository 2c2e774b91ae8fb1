import assert from 'node:assert/strict';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BelievedTime } from '../../../src/clock/believed-time.js';
import { nodeFs, type OpenMode, type StoreFs } from '../../../src/files/fs.js';
import { recordBootClock } from '../../../src/store/file/boot-clock.js';
import type { FileStoreOptions } from '../../../src/store/file/file-store-options.js';
import { holdsFor } from '../../harness/wait.js';
import { Terms, until } from '../file-support.js';
import { NO_LIMITS, pubMsg, TestClock } from '../support.js';

const HOUR_MS = 3_600_000;
const ONE_HOUR = { ...NO_LIMITS, maxAgeMs: HOUR_MS };

/** A machine on which a store is opened again and again. It counts the time that passes too. */
class Machine extends TestClock {
  bootId = 'one';
  readonly #terms: Terms;

  constructor(t: TestContext, storeFs: StoreFs = nodeFs) {
    super();
    this.#terms = new Terms(t, storeFs);
  }

  uptimeMs(): number {
    return this.monotonicMs() + 60_000;
  }

  get file(): string {
    return join(this.#terms.dir, 'boot-clock.json');
  }

  /** A broker starts, and what is too old goes. It has recorded what the machine counts. */
  async open(options: Partial<FileStoreOptions> = {}) {
    const before = fs.existsSync(this.file) ? fs.statSync(this.file).ino : 0;
    const { store, host, believed, warnings } = await this.openOnly(options);
    await until(() => fs.existsSync(this.file) && fs.statSync(this.file).ino !== before, 'it is recorded');
    const log = store.recovered.logs[0] ?? store.createLog('a', ONE_HOUR);
    log.setLimits(ONE_HOUR);
    store.expire();
    const publish = async (): Promise<void> => {
      log.append(pubMsg('a', 'x'), 1);
      await host.commit();
    };
    return { store, log, believed, warnings, publish };
  }

  /** The same, which has perhaps not recorded it yet. */
  async openOnly(options: Partial<FileStoreOptions> = {}) {
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const believed = new BelievedTime({ clock: this, warn });
    const all = { clock: this, bootId: this.bootId, believed, warn, ...options };
    const { store, host } = await this.#terms.open(all);
    return { store, host, believed, warnings };
  }
}

describe('what a machine counts since its start', () => {
  it('shows that its clock has jumped while no broker ran: nothing is deleted too early', async (t) => {
    const machine = new Machine(t);
    const first = await machine.open();
    await first.publish();
    machine.pass(HOUR_MS / 2);
    await first.store.close();
    machine.wallMs += 2 * HOUR_MS;
    machine.pass(60_000);
    const { log, believed, warnings, publish, store } = await machine.open();
    assert.equal(log.messageCount, 1);
    // The test's wall clock stands still while its code runs.
    assert.ok(Math.abs(believed.doubtMs - 2 * HOUR_MS) < 30_000, `${believed.doubtMs}`);
    assert.match(warnings.join(), /jumped forward by 7[12]\d\d s while no broker was running/);
    assert.match(believed.problem ?? '', /jumped forward by 7[12]\d\d s/);
    await publish();
    machine.pass(HOUR_MS / 2);
    store.expire();
    assert.equal(log.messageCount, 1, 'the first one is an hour old');
    machine.wallMs -= 2 * HOUR_MS;
    await publish();
    assert.deepEqual([believed.doubtMs, log.messageCount], [0, 2]);
    machine.pass(HOUR_MS / 2 + 1_000);
    store.expire();
    assert.equal(log.messageCount, 1);
  });

  it('goes on where no broker ran for hours, or the machine slept: messages are older by that', async (t) => {
    const machine = new Machine(t);
    const first = await machine.open();
    await first.publish();
    await first.store.close();
    machine.pass(2 * HOUR_MS);
    const { log, believed, warnings } = await machine.open();
    assert.equal(log.messageCount, 0);
    assert.equal(believed.doubtMs, 0);
    assert.deepEqual(warnings, []);
  });

  it('says nothing of another machine, or after a start of this one', async (t) => {
    const machine = new Machine(t);
    const first = await machine.open();
    await first.publish();
    await first.store.close();
    machine.bootId = 'two';
    machine.wallMs += 2 * HOUR_MS;
    const { log, believed } = await machine.open();
    assert.deepEqual([log.messageCount, believed.doubtMs], [0, 0]);
  });

  it('is recorded anew each hour: small steps of the clock, which are believed, do not add up', async (t) => {
    const machine = new Machine(t);
    const due: (() => void)[] = [];
    machine.setTimer = (delayMs, callback) => {
      if (delayMs !== HOUR_MS) return TestClock.prototype.setTimer.call(machine, delayMs, callback);
      due.push(callback);
      return { cancel: () => {} };
    };
    const { store, log, publish } = await machine.open();
    await publish();
    for (let hour = 0; hour < 3; hour++) {
      machine.pass(HOUR_MS / 4);
      machine.wallMs += 100_000;
      store.expire();
      const former = fs.readFileSync(machine.file, 'utf8');
      due.pop()?.();
      await until(() => fs.readFileSync(machine.file, 'utf8') !== former, 'it is recorded again');
    }
    await store.close();
    assert.equal(log.messageCount, 1);
    const next = await machine.open();
    assert.deepEqual([next.believed.doubtMs, next.warnings], [0, []]);
  });

  it('is ignored where its record is damaged, or contradicts what is stored', async (t) => {
    const machine = new Machine(t);
    const first = await machine.open();
    await first.publish();
    await first.store.close();
    const good = JSON.parse(fs.readFileSync(machine.file, 'utf8'));
    for (const content of [
      ...['', '{', 'null', '[]', '7', '{"bootId":"one"}', 'x'.repeat(10_000), '\0'.repeat(100)],
      JSON.stringify({ ...good, storeMs: '1' }),
      JSON.stringify({ ...good, storeMs: 1e300 }),
      JSON.stringify({ ...good, storeMs: 0 }),
      JSON.stringify({ ...good, uptimeMs: -1 }),
      JSON.stringify({ ...good, uptimeMs: 1e12 }),
    ]) {
      fs.writeFileSync(machine.file, content);
      const { believed, log, store } = await machine.open();
      assert.deepEqual([believed.doubtMs, log.messageCount], [0, 1], content.slice(0, 100));
      await store.close();
    }
  });

  it('is left as it is by a term that goes on after its end', async (t) => {
    const machine = new Machine(t);
    const { store } = await machine.open();
    await store.close();
    const dir = dirname(machine.file);
    const opened: string[] = [];
    const spied: StoreFs = new Proxy(nodeFs, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== 'open') return typeof value === 'function' ? value.bind(target) : value;
        return (path: string, mode: OpenMode) => {
          opened.push(mode);
          return nodeFs.open(path, mode);
        };
      },
    });
    const record = (): { epoch: number } => JSON.parse(fs.readFileSync(machine.file, 'utf8'));
    const write = (epoch: number): Promise<void> =>
      recordBootClock({ fs: spied, clock: machine, dir, bootId: 'one' }, epoch, () => machine.wallMs)();
    await write(7);
    assert.equal(record().epoch, 7, 'its own');
    opened.length = 0;
    await write(6);
    assert.deepEqual([record().epoch, opened], [7, ['read']]);
    await write(7);
    await write(8);
    assert.equal(record().epoch, 8, 'that of the next one');
    assert.equal(opened.filter((mode) => mode === 'create').length, 2);
  });

  it('is recorded before the store is closed: nothing is written into its folder after that', async (t) => {
    let goOn!: () => void;
    const mayGoOn = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow: StoreFs = {
      ...nodeFs,
      open: async (path, mode) => {
        if (path.endsWith('boot-clock.json.tmp')) await mayGoOn;
        return await nodeFs.open(path, mode);
      },
    };
    const machine = new Machine(t, slow);
    const { store } = await machine.openOnly();
    let isClosed = false;
    const closed = store.close().then(() => {
      isClosed = true;
    });
    await holdsFor(100, () => !isClosed, 'it waits for the record');
    goOn();
    await closed;
    assert.deepEqual([fs.existsSync(machine.file), fs.existsSync(`${machine.file}.tmp`)], [true, false]);
  });

  it('is not asked where an active has said how time has passed', async (t) => {
    const machine = new Machine(t);
    const first = await machine.open();
    await first.publish();
    await first.store.close();
    const nowMs = machine.wallMs;
    machine.wallMs += 2 * HOUR_MS;
    const continued = () => ({ ns: BigInt(nowMs) * 1_000_000n, leadMs: 0 });
    const { log, believed } = await machine.open({ continued });
    assert.deepEqual([log.messageCount, believed.doubtMs], [1, 0]);
  });
});
