import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs } from '../../src/files/fs.js';
import { must } from '../../src/util/assert.js';
import { waitFor } from '../harness/wait.js';
import { FORMER_MESSAGES, putFormerStore } from '../store/former/former-store.js';
import { NO_LIMITS } from '../store/support.js';
import { Ledger } from './ledger.js';
import { FuzzMember, openAlone, Talk } from './opening.js';
import { Picture } from './picture.js';
import { Scribe } from './scribe.js';

/** A store with a past: what lies there, what lay there before, and what was acknowledged. */
export interface History {
  readonly name: string;
  readonly picture: Picture;
  /** Earlier moments, oldest first. */
  readonly older: readonly Picture[];
  readonly ledger: Ledger;
}

/** Makes a history in a folder of its own. */
class Past {
  readonly ledger = new Ledger();
  readonly older: Picture[] = [];
  readonly #root: string;
  #lives = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** The store's folder. It is another one after each kill: what a killed broker left is copied while it runs. */
  get dir(): string {
    return path.join(this.#root, `${this.#lives}`);
  }

  look(): Picture {
    const picture = Picture.of(this.dir);
    this.older.push(picture);
    return picture;
  }

  /** Puts back what was there at the last look, and is no more. */
  keepFormer(): void {
    const now = Picture.of(this.dir);
    const former = must(this.older.at(-1), 'it was looked at');
    const isKept = (file: string): boolean =>
      /^(journal|segments|checkpoints)\//.test(file) && !now.files.has(file);
    new Picture(new Map([...former.files].filter(([file]) => isKept(file))), now.folders).put(this.dir);
  }

  /** A term of a broker alone. */
  async alone(end: 'closed' | 'killed', work: (scribe: Scribe) => Promise<void>): Promise<void> {
    // No timer of the store ends by itself within a history, but for those of the journal: it takes longer than that.
    const { store, close } = await openAlone(this.dir, systemClock);
    const scribe = new Scribe(store, this.ledger);
    await this.#end(end, close, () => work(scribe), scribe);
  }

  /** A term of a member of a group. */
  async member(end: 'closed' | 'killed', work: (scribe: Scribe) => Promise<void>): Promise<void> {
    const member = new FuzzMember(this.dir, new Talk(), systemClock);
    await member.start();
    const store = await member.isActive();
    const scribe = new Scribe(store, this.ledger, false);
    await this.#end(
      end,
      () => member.stop(),
      () => work(scribe),
      scribe,
    );
  }

  async #end(
    end: 'closed' | 'killed',
    close: () => Promise<void>,
    work: () => Promise<void>,
    scribe: Scribe,
  ): Promise<void> {
    this.look();
    await work();
    if (scribe.failed !== undefined) throw scribe.failed;
    if (end === 'closed') {
      await close();
      this.look();
      return;
    }
    await scribe.isIdle();
    const left = this.look();
    await close();
    this.#lives++;
    left.put(this.dir);
  }
}

const MAKERS: Readonly<Record<string, (past: Past) => Promise<void>>> = {
  'new and idle': async (past) => {
    await past.alone('closed', async () => {});
  },

  'new and killed': async (past) => {
    await past.alone('killed', async (scribe) => {
      await batches(scribe, ['a', 'b'], 6, 3);
    });
  },

  'restarted idle': async (past) => {
    await past.alone('closed', async (scribe) => {
      await batches(scribe, ['orders'], 5, 6);
      scribe.client('c1');
      await scribe.commit();
    });
    // The second start finds nothing that a checkpoint should take in.
    await past.alone('closed', (scribe) => scribe.checkpoint());
    await past.alone('closed', async () => {});
  },

  'restarted often': async (past) => {
    for (let i = 0; i < 6; i++)
      await past.alone(i % 2 === 0 ? 'closed' : 'killed', (scribe) => batches(scribe, ['a', 'b'], 2, 2));
  },

  'restarted often with checkpoints': async (past) => {
    for (let i = 0; i < 5; i++)
      await past.alone(i % 2 === 0 ? 'closed' : 'killed', async (scribe) => {
        await scribe.checkpoint();
        await batches(scribe, ['a', 'b'], 2, 2);
      });
  },

  'one burst': async (past) => {
    await past.alone('killed', async (scribe) => {
      scribe.channel('orders');
      await scribe.publish('orders', 120);
      await scribe.commit();
    });
  },

  'a burst per term': async (past) => {
    for (let i = 0; i < 4; i++)
      await past.alone('killed', async (scribe) => {
        scribe.channel('orders');
        await scribe.publish('orders', 30);
        await scribe.commit();
      });
  },

  checkpointed: async (past) => {
    await past.alone('killed', async (scribe) => {
      await batches(scribe, ['a', 'b'], 3, 5);
      await scribe.checkpoint();
      past.look();
      await batches(scribe, ['a', 'c'], 3, 5);
    });
  },

  'killed before a checkpoint removed what it replaces': async (past) => {
    await past.alone('closed', (scribe) => batches(scribe, ['a', 'b'], 2, 5));
    await past.alone('killed', async (scribe) => {
      await batches(scribe, ['a', 'b'], 2, 5);
      await scribe.checkpoint();
      await batches(scribe, ['a', 'b'], 2, 5);
      past.look();
      await scribe.checkpoint();
      // What the checkpoint has removed is back: that was its last step.
      past.keepFormer();
    });
  },

  'journals rolled': async (past) => {
    await past.alone('closed', async (scribe) => {
      await batches(scribe, ['big1', 'small'], 8, 30);
      past.look();
      await batches(scribe, ['big1', 'small'], 2, 30);
    });
    await past.alone('killed', (scribe) => batches(scribe, ['big2', 'small'], 6, 30));
  },

  'messages in the journals of many terms': async (past) => {
    for (let i = 0; i < 5; i++)
      await past.alone(i % 2 === 0 ? 'killed' : 'closed', async (scribe) => {
        await batches(scribe, ['a', `b${i}`, 'large'], 2, 4);
        await scribe.checkpoint();
        if (i === 2) past.look();
        await batches(scribe, ['a'], 1, 3);
      });
  },

  'journals used again': async (past) => {
    const limits = { ...NO_LIMITS, maxMessages: 10 };
    for (const end of ['closed', 'killed'] as const)
      await past.alone(end, async (scribe) => {
        scribe.channel('bigfew', limits);
        await batches(scribe, ['small'], 2, 3);
        for (let i = 0; i < 12; i++) {
          await scribe.publish('bigfew', 30);
          await scribe.commit();
          await scribe.isIdle();
        }
        past.look();
        await batches(scribe, ['small'], 2, 3);
      });
  },

  'batches larger than a journal': async (past) => {
    await past.alone('killed', async (scribe) => {
      await batches(scribe, ['huge1', 'small'], 1, 8);
      await scribe.checkpoint();
      past.look();
      await batches(scribe, ['small'], 3, 1);
      await batches(scribe, ['huge2', 'small'], 1, 2);
    });
  },

  'most of a journal is dropped': async (past) => {
    const limits = { ...NO_LIMITS, maxMessages: 5 };
    await past.alone('closed', async (scribe) => {
      scribe.channel('bigfew', limits);
      scribe.channel('kept');
      for (let i = 0; i < 4; i++) {
        await scribe.publish('bigfew', 20);
        await scribe.publish('kept', 3);
        await scribe.commit();
        await scribe.checkpoint();
        if (i % 2 === 1) past.look();
      }
    });
    await past.alone('killed', async (scribe) => {
      scribe.channel('bigfew', limits);
      await scribe.publish('bigfew', 20);
      await scribe.commit();
      await scribe.checkpoint();
      await batches(scribe, ['kept'], 1, 2);
    });
  },

  'merged segments': async (past) => {
    await past.alone('closed', async (scribe) => {
      for (let i = 0; i < 10; i++) {
        await batches(scribe, ['a', 'b'], 1, 4);
        await scribe.checkpoint();
        if (i % 4 === 3) past.look();
      }
      await batches(scribe, ['a', 'b'], 2, 2);
    });
  },

  'limits dropped messages': async (past) => {
    const limits = { ...NO_LIMITS, maxMessages: 7 };
    await past.alone('closed', async (scribe) => {
      scribe.channel('few', limits);
      for (let i = 0; i < 4; i++) {
        await batches(scribe, ['all'], 1, 5);
        await scribe.publish('few', 5);
        await scribe.commit();
        await scribe.checkpoint();
      }
      past.look();
      await scribe.publish('few', 5);
      await scribe.commit();
    });
    await past.alone('killed', async (scribe) => {
      scribe.channel('few', limits);
      await scribe.publish('few', 3);
      await scribe.commit();
    });
  },

  'channel deleted': async (past) => {
    await past.alone('closed', async (scribe) => {
      await batches(scribe, ['kept', 'gone', 'again'], 2, 5);
      await scribe.checkpoint();
      scribe.deleteChannel('gone');
      scribe.deleteChannel('again');
      await scribe.commit();
      await batches(scribe, ['again'], 2, 3);
    });
    await past.alone('killed', (scribe) => batches(scribe, ['kept', 'again'], 2, 2));
  },

  'durables with pending messages': async (past) => {
    await past.alone('closed', async (scribe) => {
      scribe.client('c1');
      scribe.client('c2');
      await batches(scribe, ['a'], 2, 10);
      const one = scribe.subscribe('c1', 'a', 'billing', true);
      scribe.subscribe('c2', 'a', 'audit', false);
      scribe.progress(one, 1, 12, 5);
      await scribe.commit();
      await scribe.checkpoint();
      scribe.progress(one, 13, 20, 8);
      await scribe.commit();
    });
    await past.alone('killed', async (scribe) => {
      scribe.closeClient('c2');
      const three = scribe.subscribe('c1', 'a', 'late', false);
      scribe.progress(three, 1, 4, 4);
      await scribe.commit();
      await batches(scribe, ['a'], 2, 2);
    });
  },

  'a group with takeovers': async (past) => {
    await past.member('killed', (scribe) => batches(scribe, ['a', 'b'], 3, 4));
    await past.member('killed', (scribe) => batches(scribe, ['a', 'b'], 3, 4));
    await past.member('closed', async (scribe) => {
      await scribe.checkpoint();
      await batches(scribe, ['a', 'b'], 3, 4);
    });
    await past.member('killed', (scribe) => batches(scribe, ['a', 'b'], 3, 4));
  },

  'a group with a handover': async (past) => {
    const talk = new Talk();
    const members = [new FuzzMember(past.dir, talk), new FuzzMember(past.dir, talk)] as const;
    const [first, second] = members;
    await first.start();
    const before = new Scribe(await first.isActive(), past.ledger, false);
    await batches(before, ['a', 'b'], 3, 4);
    await second.start();
    past.look();
    await waitFor(() => first.member.handOver() === undefined, 'the active hands over');
    const after = new Scribe(await second.isActive(), past.ledger, false);
    past.look();
    await batches(after, ['a', 'c'], 3, 4);
    await first.stop();
    await second.stop();
    past.look();
  },

  'a group after a broker alone': async (past) => {
    await past.alone('closed', (scribe) => batches(scribe, ['a', 'b'], 3, 4));
    await past.member('killed', (scribe) => batches(scribe, ['a', 'b'], 2, 4));
    await past.alone('killed', (scribe) => batches(scribe, ['a', 'b'], 2, 4));
    await past.member('closed', (scribe) => batches(scribe, ['a', 'b'], 2, 4));
  },

  'a predecessor that wrote on': async (past) => {
    await past.alone('closed', (scribe) => batches(scribe, ['a'], 3, 4));
    const former = await openAlone(past.dir, systemClock);
    const old = new Scribe(former.store, past.ledger);
    await batches(old, ['a', 'b'], 2, 3);
    await past.alone('killed', async (scribe) => {
      await batches(scribe, ['b'], 3, 4);
      // Nobody is told of this one, and nobody reads it.
      await old.publish('a', 3);
      former.store.commit();
      await waitFor(() => old.failed !== undefined, 'the former broker finds that its lease is lost');
      await batches(scribe, ['b'], 1, 4);
    });
    await former.close().catch(() => {});
  },

  'carried over from 0.1.0': async (past) => {
    await putFormerStore(nodeFs, past.dir);
    for (const [name, count] of Object.entries(FORMER_MESSAGES)) {
      const word = name === 'orders' ? 'order' : 'news';
      past.ledger.formerTexts.set(
        name,
        Array.from({ length: count }, (_, i) => `${word} ${i + 1}`),
      );
    }
    past.ledger.acknowledged({
      channels: new Map(
        Object.entries(FORMER_MESSAGES).map(([name, last]) => [name, { generation: 1, first: 1, last }]),
      ),
      clients: new Set(),
      pending: new Map(),
    });
    await past.alone('closed', (scribe) => batches(scribe, ['orders', 'more'], 2, 3));
    await past.member('killed', (scribe) => batches(scribe, ['orders', 'more'], 2, 3));
  },
};

export const HISTORIES: readonly string[] = Object.keys(MAKERS);

/** @param root a folder for it, which is empty */
export async function makeHistory(name: string, root: string): Promise<History> {
  const maker = MAKERS[name];
  if (maker === undefined) throw new Error(`there is no history ${name}: there are ${HISTORIES.join(', ')}`);
  fs.mkdirSync(root, { recursive: true });
  const past = new Past(root);
  await maker(past);
  const picture = Picture.of(past.dir);
  return { name, picture, older: past.older, ledger: past.ledger };
}

/** So many batches, each with so many messages for each of the channels. */
async function batches(
  scribe: Scribe,
  channels: readonly string[],
  count: number,
  messages: number,
): Promise<void> {
  for (const name of channels) scribe.channel(name);
  for (let i = 0; i < count; i++) {
    for (const name of channels) await scribe.publish(name, messages);
    await scribe.commit();
  }
}
