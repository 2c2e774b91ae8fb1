import type { FileStore } from '../../src/store/file/file-store.js';
import { LeasedTerm, verify } from '../store/leased-store.js';
import type { SimFs } from '../store/sim-fs.js';
import type { FoundChannel, FoundState, LedgerChannel, LedgerState } from '../store-fuzz/ledger.js';
import { Ledger, textOf } from '../store-fuzz/ledger.js';
import { found, Scribe } from '../store-fuzz/scribe.js';
import { type Moment, tipOf } from './books.js';
import { SMALL_STORE } from './pasts.js';

/**
 * Opens what a power cut has left, as a broker that starts. Everything acknowledged is there, nothing is there that was not handed to
 * the store, and it goes on from there, over one more restart.
 *
 * @returns what is wrong; undefined if all is well
 */
export async function judge(left: SimFs, moment: Moment): Promise<string | undefined> {
  try {
    // Before anything is acknowledged there may be no store yet.
    const { damages } = moment.acknowledged.channels.size === 0 ? { damages: [] } : await verify(left);
    const [damage] = damages;
    if (damage !== undefined) return `verify reports ${damage.path}: ${damage.what}`;
    const first = await LeasedTerm.begin(left, SMALL_STORE, 'next');
    const state = await found(first.store);
    const wrong = problem(state, moment);
    if (wrong !== undefined) return wrong;
    const made = await goOn(first.store);
    await first.end();
    const second = await LeasedTerm.begin(left, SMALL_STORE, 'after');
    const after = await found(second.store);
    await second.end();
    return lostSince(state, made, after);
  } catch (error) {
    return `it is not opened: ${(error as Error).message}`;
  }
}

const NEXT = 'published behind the cut';

/** One more message for each channel, and a checkpoint. @returns where they are */
async function goOn(store: FileStore): Promise<Map<string, number>> {
  const ledger = new Ledger();
  const scribe = new Scribe(store, ledger);
  const made = new Map<string, number>();
  for (const name of [...store.recovered.logs.map((log) => log.name), NEXT]) {
    scribe.channel(name);
    await scribe.publish(name, 1);
  }
  await scribe.commit();
  for (const [name, { last }] of ledger.last.channels) made.set(name, last);
  await scribe.checkpoint();
  return made;
}

/** What was found before must be found again, with what came behind it. */
function lostSince(before: FoundState, made: Map<string, number>, after: FoundState): string | undefined {
  for (const [name, sequence] of made) {
    const now = after.channels.get(name);
    if (now === undefined || now.last !== sequence)
      return `channel ${name} ends with ${now?.last} after a restart`;
    const then = before.channels.get(name);
    for (const [index, text] of (then?.texts ?? []).entries()) {
      const at = (then?.first ?? 0) + index;
      if (at < now.first || text instanceof Error) continue;
      if (now.texts[at - now.first] !== text)
        return `message ${at} of ${name} is another one after a restart`;
    }
  }
  return undefined;
}

/** Each part has to be as it was acknowledged, or as it was to be next. */
function problem(state: FoundState, { acknowledged, proposed, appended }: Moment): string | undefined {
  const both = [acknowledged, proposed];
  const names = new Set([...state.channels.keys(), ...both.flatMap(({ channels }) => [...channels.keys()])]);
  for (const name of names) {
    const there = state.channels.get(name);
    const problems = both.map((one) => channelProblem(name, there, one.channels.get(name), appended));
    if (problems.every((what) => what !== undefined)) return problems[0];
  }
  return (
    setProblem('client', state.clients, acknowledged.clients, proposed.clients) ??
    setProblem('subscription', state.pending, acknowledged.pending, proposed.pending) ??
    pendingProblem(state, both)
  );
}

function channelProblem(
  name: string,
  there: FoundChannel | undefined,
  expected: LedgerChannel | undefined,
  appended: ReadonlyMap<string, number>,
): string | undefined {
  if (there === undefined) return expected === undefined ? undefined : `channel ${name} is gone`;
  // It may have been made a moment before.
  const { generation, first, last } = expected ?? { generation: newestOf(name, appended), first: 1, last: 0 };
  const newest = appended.get(tipOf(name, generation)) ?? 0;
  if (there.last < last) return `channel ${name} ends with message ${there.last} instead of ${last}`;
  if (there.last > newest)
    return `channel ${name} ends with message ${there.last}, and ${newest} were published`;
  // Appending drops what is beyond a limit, acknowledged or not.
  const dropped = Math.max(first, newest - last + first);
  if (there.first > dropped) return `channel ${name} begins with message ${there.first} instead of ${first}`;
  for (const [index, text] of there.texts.entries()) {
    const sequence = there.first + index;
    if (text instanceof Error) {
      if (sequence >= first) return `message ${sequence} of ${name} cannot be read: ${text.message}`;
      continue;
    }
    if (text !== textOf(name, generation, sequence))
      return `message ${sequence} of ${name} is "${text?.slice(0, 30)}"`;
  }
  return undefined;
}

function newestOf(name: string, appended: ReadonlyMap<string, number>): number {
  for (let generation = 1; ; generation++) if (!appended.has(tipOf(name, generation + 1))) return generation;
}

interface Named {
  has(name: string): boolean;
  keys(): Iterable<string>;
}

function setProblem(what: string, there: Named, ...both: readonly [Named, Named]): string | undefined {
  for (const name of both[0].keys())
    if (both[1].has(name) && !there.has(name)) return `${what} ${name} is gone`;
  for (const name of there.keys())
    if (!both[0].has(name) && !both[1].has(name)) return `${what} ${name} is there, and should not be`;
  return undefined;
}

function pendingProblem({ pending }: FoundState, both: readonly LedgerState[]): string | undefined {
  for (const [name, sequences] of pending) {
    const right = both.map((one) => one.pending.get(name)?.join());
    if (!right.includes(sequences.join()))
      return `subscription ${name} has pending [${sequences.join()}] instead of [${right[0]}]`;
  }
  return undefined;
}
