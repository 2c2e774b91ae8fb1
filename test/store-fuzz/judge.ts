import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs } from '../../src/files/fs.js';
import { StoreError } from '../../src/files/store-error.js';
import { type StoreVerification, storeVerify } from '../../src/store/tools/verify.js';
import { waitFor, within } from '../harness/wait.js';
import { NO_LIMITS, pubMsg } from '../store/support.js';
import type { History } from './histories.js';
import { type FoundState, type LedgerState, type Loss, losses } from './ledger.js';
import { isNeedless, type Mutation } from './mutations.js';
import { OPENERS, type OpenedStore, type Opener, openAs } from './opening.js';
import { type Picture, stampsOf } from './picture.js';
import { committed, found, foundOne, Scribe } from './scribe.js';

/** What became of a damaged store. */
export type Outcome =
  | { readonly kind: 'nothing lost' | 'refused' | 'told' }
  | { readonly kind: 'finding'; readonly what: string };

export interface Case {
  readonly history: History;
  readonly mutation: Mutation;
  /** Who opens it first. It is opened again by the other one. */
  readonly opener: Opener;
}

const CASE_MS = 30_000;
const NEW_CHANNEL = 'made afterwards';
/** A lease that has gone back is ahead of no file after as many starts as there are epochs. */
const MAX_STARTS = 12;

/** Damages a copy of the store, opens it, and holds what is found against what was acknowledged. */
export async function judge(given: Case, root: string): Promise<Outcome> {
  const folder = mkdtempSync(join(root, 'case-'));
  try {
    await within(new Trial(given, join(folder, 'store')).run(), 'the case ends', CASE_MS);
    return { kind: 'nothing lost' };
  } catch (thrown) {
    if (thrown instanceof Verdict) return thrown.outcome;
    return { kind: 'finding', what: `an error that is none of the store's: ${(thrown as Error).stack}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Verdict extends Error {
  constructor(readonly outcome: Outcome) {
    super();
  }
}

function finding(what: string): never {
  throw new Verdict({ kind: 'finding', what });
}

class Trial {
  readonly #case: Case;
  readonly #dir: string;
  readonly #damaged: Picture;
  readonly #expected: LedgerState;
  #stamps: ReadonlyMap<string, string> = new Map();

  constructor(given: Case, dir: string) {
    this.#case = given;
    this.#dir = dir;
    this.#damaged = given.mutation.apply();
    this.#expected = given.history.ledger.last;
  }

  async run(): Promise<void> {
    this.#damaged.put(this.#dir);
    this.#stamps = stampsOf(this.#dir);
    const { opener } = this.#case;
    const verified = await this.#verify();
    this.#unchanged('verify');
    const opened = await this.#open(opener);
    if (opened instanceof StoreError) return this.#refused(opened, verified);
    await this.#opened(opened, verified);
  }

  /** Nobody is served: it says why, everything stays as it was, and whoever comes next is refused too. */
  async #refused(error: StoreError, verified: string[]): Promise<never> {
    const { mutation, opener } = this.#case;
    if (!error.message.includes(this.#dir)) finding(`refused without naming a file: ${error.message}`);
    this.#unchanged('a refusal');
    if (mutation.touched.length > 0 && mutation.touched.every(isNeedless))
      finding(`refused for a file that nothing needs: ${error.message}`);
    if (verified.length === 0) finding(`refused, and verify says that all is well: ${error.message}`);
    const next = await this.#open(OPENERS[opener === 'alone' ? 1 : 0] ?? opener);
    if (!(next instanceof StoreError)) {
      const lost = losses(this.#case.history.ledger, this.#expected, await found(next.store));
      await next.close();
      finding(
        `refused, and then opened by the next one${lost.length === 0 ? ', with nothing lost' : `: ${lost[0]?.what}`}; refusal: ${error.message}`,
      );
    }
    this.#unchanged('a second refusal');
    throw new Verdict({ kind: 'refused' });
  }

  async #opened(opened: OpenedStore, verified: string[]): Promise<void> {
    const { history, opener } = this.#case;
    // Before the first client connects.
    const toldAtOnce = [...opened.warnings];
    let state: FoundState;
    const made = new Map<string, number>();
    let lost: Loss[];
    try {
      state = await found(opened.store);
      lost = losses(history.ledger, this.#expected, state);
      this.#told(lost, toldAtOnce, verified, state);
      await this.#publish(opened, made, lost);
    } finally {
      await opened.close();
    }
    const after = await this.#verify();
    if (lost.length > 0 && after.length === 0)
      finding(`verify no longer tells of the loss after one run: ${lost[0]?.what}`);
    await this.#openedAgain(OPENERS[opener === 'alone' ? 1 : 0] ?? opener, state, made);
    if (lost.length > 0) throw new Verdict({ kind: 'told' });
  }

  /** @param warnings of the opening: they come before the first client */
  #told(lost: Loss[], warnings: readonly string[], verified: string[], state: FoundState): void {
    const wrong = lost.find(({ isWrong }) => isWrong);
    if (wrong !== undefined) finding(wrong.what);
    if (lost.length === 0) return;
    for (const { texts } of state.channels.values())
      for (const text of texts)
        if (text instanceof Error && !text.message.includes(this.#dir)) finding(`${text.stack}`);
    // What can be seen without reading all segments is reported at once, the rest when it is read.
    const silent = this.#isPlain ? lost : lost.filter(({ isToldByReading }) => !isToldByReading);
    const isWarned = warnings.some((warning) => warning.includes(this.#dir));
    const [first] = silent.length > 0 ? silent : lost;
    const what = `${first?.what}${lost.length > 1 ? ` (and ${lost.length - 1} more)` : ''}`;
    if (silent.length > 0 && !isWarned && verified.length === 0) finding(`LOST IN SILENCE: ${what}`);
    if (silent.length > 0 && !isWarned) finding(`opened without a warning, though verify tells: ${what}`);
    if (verified.length === 0)
      finding(`lost, and verify says that all is well: ${what}; warned: ${warnings.join('; ')}`);
  }

  /** A file is missing, or shorter than it was. */
  get #isPlain(): boolean {
    const { history, mutation } = this.#case;
    return mutation.touched.some((file) => {
      const now = this.#damaged.files.get(file);
      return now === undefined || now.size < (history.picture.files.get(file)?.size ?? 0);
    });
  }

  /** One more message for each channel, and what a store does by itself: a checkpoint, and the removal of what that replaces. */
  async #publish({ store }: OpenedStore, made: Map<string, number>, lost: readonly Loss[]): Promise<void> {
    const scribe = this.#case.opener === 'alone' ? new Scribe(store, this.#case.history.ledger) : undefined;
    const failed = (): Error | undefined => scribe?.failed;
    const logs = [...store.recovered.logs];
    if (!logs.some(({ name }) => name === NEW_CHANNEL)) logs.push(store.createLog(NEW_CHANNEL, NO_LIMITS));
    for (const [name] of this.#expected.channels)
      if (!logs.some((log) => log.name === name)) logs.push(store.createLog(name, NO_LIMITS));
    for (const log of logs) {
      await waitFor(() => store.admit(1000) === 'yes', 'there is room for a message', 10_000);
      const sequence = log.append(pubMsg(log.name, textAfterwards(log.name), `guid-${log.name}`), 1);
      made.set(log.name, sequence);
      const acknowledged = this.#expected.channels.get(log.name)?.last ?? 0;
      if (sequence <= acknowledged)
        finding(
          `the next publish to ${log.name} got sequence ${sequence}, which another message has${lost.length > 0 ? ' (the loss was told)' : ''}`,
        );
    }
    await committed(store, failed);
    const { upkeep } = store;
    await waitFor(() => failed() !== undefined || upkeep.isIdle, 'the store is idle', 10_000);
    upkeep.checkpoint();
    await waitFor(() => failed() !== undefined || upkeep.isIdle, 'a checkpoint is made', 10_000);
    const error = failed();
    if (error !== undefined) finding(`the opened store has failed: ${error.message}`);
  }

  /** What was there before must still be there. */
  async #openedAgain(opener: Opener, before: FoundState, made: ReadonlyMap<string, number>): Promise<void> {
    const opened = await this.#open(opener);
    if (opened instanceof StoreError)
      finding(`opened once, and refused after a clean stop: ${opened.message}`);
    try {
      const after = await found(opened.store);
      for (const [name, { first, texts }] of before.channels) {
        const now = after.channels.get(name);
        if (now === undefined) finding(`channel ${name} was there, and is gone after a restart`);
        for (const [index, text] of texts.entries()) {
          if (text instanceof Error) continue;
          const again = await foundOne(opened.store, name, first + index);
          if (again !== text)
            finding(`message ${first + index} of ${name} was there, and is not after a restart: ${again}`);
        }
      }
      for (const [name, sequence] of made) {
        const text = await foundOne(opened.store, name, sequence);
        if (text !== textAfterwards(name))
          finding(`message ${sequence} of ${name} was acknowledged, and is gone after a restart: ${text}`);
      }
      for (const client of before.clients)
        if (!after.clients.has(client)) finding(`client ${client} was there, and is gone after a restart`);
      for (const [name, pending] of before.pending) {
        const now = after.pending.get(name);
        if (now === undefined || pending.some((sequence) => !now.includes(sequence)))
          finding(
            `subscription ${name} has pending [${now?.join()}] instead of [${pending.join()}] after a restart`,
          );
      }
    } finally {
      await opened.close();
    }
  }

  /** Opens it, again while it says that another start will do. @returns the refusal */
  async #open(opener: Opener): Promise<OpenedStore | StoreError> {
    for (let start = 1; ; start++) {
      try {
        return await openAs(opener, this.#dir);
      } catch (error) {
        if (!(error instanceof StoreError))
          finding(`an opening fails otherwise than by a refusal: ${(error as Error).stack}`);
        if (error.code !== 'lost' || start === MAX_STARTS) return error;
      }
    }
  }

  /** @returns what it tells of: with anything, its exit code is 1 */
  async #verify(): Promise<string[]> {
    let result: StoreVerification;
    try {
      result = await storeVerify({ fs: nodeFs, clock: systemClock, dir: this.#dir });
    } catch (error) {
      if (error instanceof StoreError) return [error.message];
      finding(`verify fails otherwise than by a refusal: ${(error as Error).stack}`);
    }
    return result.damages.map(({ path, what }) => `${path} ${what}`);
  }

  #unchanged(by: string): void {
    const now = stampsOf(this.#dir);
    for (const [file, stamp] of this.#stamps) {
      if (isOfLease(file) || now.get(file) === stamp) continue;
      finding(`${by} has ${now.has(file) ? 'changed' : 'removed'} ${file}`);
    }
    for (const file of now.keys())
      if (!isOfLease(file) && !this.#stamps.has(file)) finding(`${by} has made ${file}`);
  }
}

/** A term begins before it knows what there is: the lease is taken in any case. */
function isOfLease(file: string): boolean {
  return /^(lease|lease\.locks|reign)\//.test(file);
}

function textAfterwards(channel: string): string {
  return `published to ${channel} afterwards`;
}
