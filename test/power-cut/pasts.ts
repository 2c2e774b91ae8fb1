import type { FileStoreOptions } from '../../src/store/file/file-store-options.js';
import { LeasedTerm } from '../store/leased-store.js';
import { SimFs } from '../store/sim-fs.js';
import { NO_LIMITS } from '../store/support.js';
import { Scribe } from '../store-fuzz/scribe.js';
import { Books, type Moment } from './books.js';
import { type DiskEvent, type Omissions, RecordingFs } from './recording.js';

/** A store's past: all that reached its disk, and what its users knew when. */
export interface Past {
  readonly name: string;
  readonly events: readonly DiskEvent[];
  readonly moments: readonly Moment[];
  readonly books: Books;
}

const MIB = 1024 * 1024;
const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

/** Small, so that little goes through every part of a store. */
export const SMALL_STORE: Partial<FileStoreOptions> = {
  blockBytes: 128 * 1024,
  cacheBytes: 64 * 1024,
  loadedBytes: 64 * 1024,
  maxOpenSegments: 4,
  // Messages are refused that the segment set aside could not hold.
  sizes: { log: ROOM, ckpt: ROOM, seg: { count: 1, leastCount: 1, bytes: 3 * MIB, leastBytes: MIB } },
};
const KEPT = 12;

/** Terms on one store, one after the other. */
class Terms {
  readonly fs: RecordingFs;
  readonly books: Books;
  readonly #open: LeasedTerm[] = [];
  #count = 0;

  constructor(fs: RecordingFs, books: Books) {
    this.fs = fs;
    this.books = books;
  }

  /** One that is killed, as far as the next one knows: it notices that its lease is lost when it writes something. */
  async term(work: (scribe: Scribe) => Promise<void>): Promise<void> {
    const term = await LeasedTerm.begin(this.fs, SMALL_STORE, `term-${++this.#count}`);
    this.#open.push(term);
    const scribe = new Scribe(term.store, this.books);
    await work(scribe);
    if (scribe.failed !== undefined) throw scribe.failed;
  }

  async closedTerm(work: (scribe: Scribe) => Promise<void>): Promise<void> {
    await this.term(work);
    await this.#open.pop()?.end();
  }

  async close(): Promise<void> {
    for (const term of this.#open) await term.store.close().catch(() => {});
  }
}

/** Publishes to each channel in turn. One that is there keeps its limits, for as long as the term lasts. */
async function rounds(
  scribe: Scribe,
  channels: readonly string[],
  count: number,
  each: number,
): Promise<void> {
  for (const channel of channels) if (!scribe.hasChannel(channel)) scribe.channel(channel);
  for (let round = 0; round < count; round++) {
    for (const channel of channels) await scribe.publish(channel, each);
    await scribe.commit();
  }
}

const MAKERS: Readonly<Record<string, (terms: Terms) => Promise<void>>> = {
  /** Clients, durables, limits, a channel that is deleted and made again, checkpoints and merges. */
  'all that a store has': async (terms) => {
    await terms.closedTerm(async (scribe) => {
      scribe.client('c1');
      scribe.client('c2');
      await rounds(scribe, ['a', 'gone', 'again'], 2, 3);
      const one = scribe.subscribe('c1', 'a', 'billing', true);
      await scribe.commit();
      scribe.progress(one, 1, 4, 2);
      await scribe.commit();
      scribe.channel('few', { ...NO_LIMITS, maxMessages: KEPT });
      await scribe.publish('few', KEPT + 5);
      await scribe.commit();
      await scribe.checkpoint();
      scribe.deleteChannel('gone');
      scribe.deleteChannel('again');
      await scribe.commit();
      await rounds(scribe, ['again', 'a'], 2, 2);
      scribe.closeClient('c2');
      scribe.progress(one, 5, 8, 8);
      await scribe.commit();
      for (let i = 0; i < 9; i++) {
        await scribe.publish('few', 4);
        await rounds(scribe, ['a', 'again'], 1, 2);
        await scribe.checkpoint();
      }
      await scribe.publish('few', 3);
      await scribe.commit();
    });
    await terms.term(async (scribe) => {
      scribe.channel('few', { ...NO_LIMITS, maxMessages: KEPT });
      await rounds(scribe, ['a', 'few'], 2, 2);
      await scribe.checkpoint();
      await rounds(scribe, ['b'], 2, 2);
    });
    await terms.closedTerm((scribe) => rounds(scribe, ['a', 'c'], 2, 2));
  },

  /** Several journal files per term, with large and small batches in turn. */
  'journals that roll': async (terms) => {
    await terms.term(async (scribe) => {
      for (let i = 0; i < 4; i++) {
        await rounds(scribe, ['big', 'small'], 12, 10);
        await rounds(scribe, ['small'], 4, 1);
      }
      await rounds(scribe, ['huge', 'small'], 2, 2);
    });
    await terms.closedTerm(async (scribe) => {
      scribe.channel('bigfew', { ...NO_LIMITS, maxMessages: KEPT });
      for (let i = 0; i < 4; i++) {
        await rounds(scribe, ['bigfew'], 10, 11);
        await rounds(scribe, ['small', 'other'], 3, 2);
      }
      await scribe.checkpoint();
      await rounds(scribe, ['bigfew', 'small'], 4, 11);
    });
  },

  /** What a limit has dropped gives its journal files back, and the next ones are made of them. */
  'journals that are used again': async (terms) => {
    const few = { ...NO_LIMITS, maxMessages: KEPT };
    for (const isClosed of [false, true]) {
      const work = async (scribe: Scribe): Promise<void> => {
        scribe.channel('bigfew', few);
        await rounds(scribe, ['small'], 2, 2);
        for (let i = 0; i < 10; i++) {
          await rounds(scribe, ['bigfew'], 5, 10);
          await scribe.isIdle();
        }
        await rounds(scribe, ['small', 'bigfew'], 3, 1);
      };
      await (isClosed ? terms.closedTerm(work) : terms.term(work));
    }
  },

  /** More terms than a store keeps journals of, each with its checkpoint. */
  'many terms': async (terms) => {
    for (let i = 0; i < 20; i++) {
      const work = async (scribe: Scribe): Promise<void> => {
        scribe.channel('few', { ...NO_LIMITS, maxMessages: KEPT });
        await rounds(scribe, ['a', `b${i % 3}`, 'few'], 1, 3);
        await scribe.checkpoint();
        await rounds(scribe, ['a', 'few'], 1, 2);
      };
      await (i % 3 === 0 ? terms.term(work) : terms.closedTerm(work));
    }
  },
};

export const PASTS: readonly string[] = Object.keys(MAKERS);

/** @param omissions mistakes to record, so that they are found */
export async function makePast(name: string, omissions?: Omissions): Promise<Past> {
  const maker = MAKERS[name];
  if (maker === undefined) throw new Error(`there is no past ${name}: there are ${PASTS.join(', ')}`);
  const fs = new RecordingFs(new SimFs(), omissions);
  const books = new Books(fs);
  const terms = new Terms(fs, books);
  await maker(terms);
  const events = [...fs.events];
  await terms.close();
  return { name, events, moments: books.moments, books };
}
