import lockfile from 'proper-lockfile';
import { parseNames } from '../../src/files/file-names.js';
import type { StoreFs } from '../../src/files/fs.js';
import { JOURNAL_DIRECTORY } from '../../src/files/store-folder.js';
import { Lease } from '../../src/lease/lease.js';
import {
  type LeaseState,
  type NewTerm,
  NO_LENGTH,
  NONE_SERVED,
  RELEASED,
} from '../../src/lease/lease-state.js';
import { failure } from '../store/sim-fs.js';
import { DIR, type Machine, type Mutation } from './machine.js';

const STALE_MS = 2_000;
const UPDATE_MS = 1_000;
const LOCK = `${DIR}/lease.lock`;
const WALL_START_MS = 1_700_000_000_000;

type Done<T = void> = (error: Error | null, value?: T) => void;

/**
 * The lease as a lock of `proper-lockfile`, taken over when it is stale: the real library, on the simulated storage. Its
 * time is global; see `ownTime`.
 */
export function staleLockfile(): NonNullable<Mutation['lease']> {
  return (_, node) => new LockfileLease(node);
}

/** What a lock is on the file server. */
const locks = new WeakMap<object, { mtimeMs: number }>();

class LockfileLease extends Lease {
  readonly #node: Machine;
  readonly #fs: StoreFs;
  readonly #holder: string;
  #release: (() => Promise<void>) | undefined;
  #isCompromised = false;

  constructor(node: Machine) {
    super(node.mount, DIR);
    this.#node = node;
    this.#fs = node.mount;
    this.#holder = node.process.name;
  }

  override async create(): Promise<undefined> {
    await this.#fs.makeDirectory(DIR);
  }

  override async read(): Promise<LeaseState> {
    const names = await this.#fs.list(`${DIR}/${JOURNAL_DIRECTORY}`).catch(() => []);
    const epoch = Math.max(0, ...parseNames(names, 'log').map((id) => id.epoch));
    const lock = await this.#ask('stat', () => locks.get(this.#node.cluster)?.mtimeMs);
    return {
      ...NO_LENGTH,
      epoch,
      counter: lock ?? 0,
      ...NONE_SERVED,
      holder: lock === undefined ? RELEASED : 'somebody',
    };
  }

  override readFresh(): Promise<LeaseState> {
    return this.read();
  }

  override async takeOver(_: LeaseState, { epoch, kind, leaseMs }: NewTerm): Promise<LeaseState | 'lost'> {
    try {
      this.#release = await lockfile.lock(`/${this.#holder}.${epoch}`, {
        lockfilePath: LOCK,
        stale: STALE_MS,
        update: UPDATE_MS,
        realpath: false,
        retries: 0,
        fs: this.#adapter(),
        onCompromised: () => {
          this.#isCompromised = true;
        },
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return 'lost';
      throw error;
    }
    this.#isCompromised = false;
    return { epoch, counter: 0, ...NONE_SERVED, kind, leaseMs, holder: this.#holder };
  }

  /** There is nothing to be confirmed: who has not been told otherwise has the lock. */
  override async renew(known: LeaseState): Promise<LeaseState | 'lost'> {
    return this.#isCompromised ? 'lost' : { ...known, counter: known.counter + 1 };
  }

  override renewNow(): undefined {
    return undefined;
  }

  override async release(known: LeaseState): Promise<LeaseState | 'lost'> {
    await this.#release?.();
    return { ...known, holder: RELEASED };
  }

  /** What the library wants of a file system, with the delays of the mount. */
  #adapter(): object {
    const { cluster } = this.#node;
    const now = (): number => WALL_START_MS + cluster.world.nowMs;
    const call = <T>(name: string, effect: () => T, done: Done<T>): void =>
      void this.#ask(name, effect).then(
        (value) => done(null, value),
        (error: Error) => done(error),
      );
    const found = (): { mtimeMs: number } => {
      const lock = locks.get(cluster);
      if (lock === undefined) throw failure('ENOENT', LOCK);
      return lock;
    };
    return {
      mkdir: (_: string, done: Done) =>
        call(
          'mkdir',
          () => {
            if (locks.has(cluster)) throw failure('EEXIST', LOCK);
            locks.set(cluster, { mtimeMs: now() });
          },
          done,
        ),
      rmdir: (_: string, done: Done) => call('rmdir', () => void (found() && locks.delete(cluster)), done),
      stat: (_: string, done: Done<{ mtime: Date }>) =>
        call('stat', () => ({ mtime: new Date(found().mtimeMs) }), done),
      utimes: (_: string, __: Date, mtime: Date, done: Done) =>
        call(
          'utimes',
          () => {
            found().mtimeMs = mtime.getTime();
          },
          done,
        ),
      realpath: (path: string, done: Done<string>) => done(null, path),
    };
  }

  #ask<T>(name: string, effect: () => T): Promise<T> {
    return this.#node.mount.ask(name, LOCK, 'name', effect);
  }
}
