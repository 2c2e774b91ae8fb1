import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs, type StoreFile, type StoreFs } from '../../src/files/fs.js';
import { FsCalls } from '../../src/files/fs-calls.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import { ManualClock } from '../clock/manual-clock.js';
import { SMALL, Terms, temporaryDirectory, until } from '../store/file-support.js';
import { NO_LIMITS, pubMsg, random } from '../store/support.js';

/** A call that ends when the test says so. */
function call(): { run: () => Promise<void>; end: () => void } {
  let end!: () => void;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { run: () => ended, end };
}

describe('calls to a file system', () => {
  it('hang when one is under way and none ends', async () => {
    const clock = new ManualClock();
    const calls = new FsCalls(clock);
    clock.advance(1_000);
    const [slow, quick] = [call(), call()];
    const all = [calls.run('read', '/slow', slow.run), calls.run('read', '/quick', quick.run)];
    assert.deepEqual(calls.oldest, { operation: 'read', path: '/slow', silentMs: 0 });
    clock.advance(5_000);
    assert.equal(calls.oldest?.silentMs, 5_000);
    quick.end();
    await all[1];
    clock.advance(10);
    assert.deepEqual(calls.oldest, { operation: 'read', path: '/slow', silentMs: 10 });
    slow.end();
    await all[0];
    assert.equal(calls.oldest, undefined);
  });

  it('do not hang while none is under way, however long ago the last one ended', async () => {
    const clock = new ManualClock();
    const calls = new FsCalls(clock);
    await calls.run('read', '/a', async () => {});
    clock.advance(60_000);
    assert.equal(calls.oldest, undefined);
    void calls.run('read', '/b', call().run);
    assert.equal(calls.oldest!.silentMs, 0);
  });

  it('read long files piece by piece, so that a slow one is seen to go on', async (t) => {
    const path = `${temporaryDirectory(t)}/long`;
    const content = Buffer.alloc(2_500_000, 'stanchion');
    fs.writeFileSync(path, content);
    const lengths: number[] = [];
    const seen: StoreFs = {
      ...nodeFs,
      open: async (...args) => {
        const file = await nodeFs.open(...args);
        return withRead(file, (buffer, start, end, position) => {
          lengths.push(end - start);
          return file.read(buffer, start, end, position);
        });
      },
    };
    const file = await new FsCalls(new ManualClock()).count(seen).open(path, 'read');
    const buffer = Buffer.alloc(content.length);
    assert.equal(await file.read(buffer, 100, buffer.length, 100), content.length - 100);
    assert.deepEqual(buffer.subarray(100), content.subarray(100));
    assert.ok(lengths.length === 3 && Math.max(...lengths) === 1024 * 1024, String(lengths));
    // Behind the end there is nothing, and at it less.
    assert.equal(await file.read(buffer, 0, buffer.length, 1_500_000), 1_000_000);
    await file.close();
  });
});

function withRead(file: StoreFile, read: StoreFile['read']): StoreFile {
  return {
    read,
    write: (...args) => file.write(...args),
    size: () => file.size(),
    truncate: async () => {},
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

/** A file system whose n-th call ends when the test says so: before it has done anything, or after that. */
class HangingFs {
  /** Calls so far. */
  count = 0;
  /** Calls that have begun and not ended. */
  underWay = 0;
  open = 0;
  hangs = false;
  /** Of the call that hangs; '' if it is of an open file. */
  path = '';
  readonly fs: StoreFs;
  readonly #at: number;
  readonly #when: 'before' | 'after';
  readonly #released: Promise<void>;
  /** What hangs goes on, and nothing hangs any more. */
  release!: () => void;

  constructor(at: number, when: 'before' | 'after') {
    this.#released = new Promise((resolve) => {
      this.release = resolve;
    });
    this.#at = at;
    this.#when = when;
    this.fs = this.#all(nodeFs, {
      open: async (path: string, mode: Parameters<StoreFs['open']>[1]) => {
        const file = await this.#call(() => nodeFs.open(path, mode));
        this.open++;
        return this.#all(file, {
          write: (...[buffer, start, end, position, done]: Parameters<StoreFile['write']>) => {
            const write = (): Promise<number> =>
              new Promise((resolve, reject) =>
                file.write(buffer, start, end, position, (error, written) =>
                  error === null ? resolve(written) : reject(error),
                ),
              );
            this.#call(write).then(
              (written) => done(null, written),
              (error: Error) => done(error, 0),
            );
          },
          close: async () => {
            await this.#call(() => file.close());
            this.open--;
          },
        });
      },
    });
  }

  #all<T extends object>(real: T, own: object): T {
    return new Proxy(real, {
      get: (target, name) => {
        if (name in own) return Reflect.get(own, name);
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          this.#call(() => value.apply(target, args) as Promise<unknown>, String(args[0]));
      },
    });
  }

  async #call<T>(run: () => Promise<T>, path = ''): Promise<T> {
    const hangs = ++this.count === this.#at;
    this.underWay++;
    try {
      if (hangs) this.path = path;
      if (hangs && this.#when === 'before') await this.#hang();
      const result = await run();
      if (hangs && this.#when === 'after') await this.#hang();
      return result;
    } finally {
      this.underWay--;
    }
  }

  #hang(): Promise<void> {
    this.hangs = true;
    return this.#released;
  }
}

describe('opening a store', () => {
  /** A store that has been used, with a checkpoint and a journal behind it, and what is left of a look. */
  async function used(t: TestContext): Promise<Terms> {
    const terms = new Terms(t);
    for (let round = 0; round < 2; round++) {
      const { store, host } = await terms.open(SMALL);
      const log = store.recovered.logs[0] ?? store.createLog('foo', NO_LIMITS);
      for (let i = 0; i < 50; i++) log.append(pubMsg('foo', `${round}.${i}`), 1);
      store.commit();
      await until(() => host.committed >= store.gathering - 1, 'the commit');
      if (round === 0) {
        store.upkeep.checkpoint();
        await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
      }
      await store.close();
    }
    fs.writeFileSync(`${terms.dir}/journal/look.1.abc.1`, '');
    return terms;
  }

  interface Opening {
    dir: string;
    hanging: HangingFs;
    clock: ManualClock;
    calls: FsCalls;
    opening: Promise<FileStore>;
  }

  /** Opens a copy of it. The n-th call hangs. */
  function open(t: TestContext, used: Terms, at: number, when: 'before' | 'after'): Opening {
    const dir = temporaryDirectory(t);
    fs.cpSync(used.dir, dir, { recursive: true });
    const hanging = new HangingFs(at, when);
    const clock = new ManualClock();
    const calls = new FsCalls(clock);
    const opening = openFileStore({
      ...SMALL,
      fs: hanging.fs,
      clock,
      random,
      dir,
      clusterId: 'test-cluster',
      epoch: used.epoch + 1,
      isTested: true,
      calls,
      warn: () => {},
    });
    return { dir, hanging, clock, calls, opening };
  }

  for (const when of ['before', 'after'] as const) {
    it(`does nothing more once it has been given up, whichever call hung, ${when} it was done`, async (t) => {
      const terms = await used(t);
      const { opening, hanging } = open(t, terms, 0, when);
      const store = await opening;
      // The open store has begun to make its next journal.
      const count = hanging.count - 1;
      await store.close();
      assert.ok(count > 40, `${count} calls`);
      for (let at = 1; at <= count; at++) {
        const { dir, opening, hanging, clock, calls } = open(t, terms, at, when);
        let hasOpened = false;
        const opened = opening.then(
          () => {
            hasOpened = true;
          },
          () => {},
        );
        await until(() => hasOpened || hanging.hangs, 'it hangs, or opens');
        // The lengths of segments and of journals that messages stay in are asked for beside it: it waits for them for a moment only.
        const isBeside = /\.(seg|log)$/.test(hanging.path);
        await until(() => {
          if (isBeside) clock.advance(10);
          return hasOpened || !isBeside;
        }, 'it opens without a length');
        if (hasOpened) {
          // What fails has nothing that it could hang after.
          hanging.release();
          await (await opening).close();
          continue;
        }
        assert.notEqual(calls.oldest, undefined);
        calls.refuse();
        // An opening syncs older journals while it makes its own: what the file system was already doing cannot be taken back.
        await until(() => hanging.underWay === 1, 'no call but the one that hangs is under way');
        const before = snapshot(dir);
        hanging.release();
        await opened;
        await assert.rejects(opening, { code: 'closed' });
        await until(() => hanging.open === 0 && calls.oldest === undefined, 'all files are closed');
        // Of a call that has not done anything before it was given up, that is one.
        // A rename takes the temporary name away.
        const changed = difference(before, snapshot(dir)).filter((path) => !path.endsWith('.tmp'));
        assert.ok(changed.length <= (when === 'before' ? 1 : 0), `call ${at}: ${changed}`);
      }
    });
  }
});

/** All that there is, by its path. */
function snapshot(dir: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of fs.readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const path = `${dir}/${name}`;
    if (fs.statSync(path).isDirectory()) found.set(name, '');
    else found.set(name, fs.readFileSync(path).toString('base64'));
  }
  return found;
}

function difference(one: Map<string, string>, other: Map<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((name) => one.get(name) !== other.get(name));
}
