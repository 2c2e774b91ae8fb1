import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../broker/model-random.js';
import { HISTORIES, type History, makeHistory } from './histories.js';
import { type Case, judge, type Outcome } from './judge.js';
import { mutationsOf } from './mutations.js';
import { OPENERS } from './opening.js';

/** Openings wait for files and timers most of the time. */
const CASES_AT_ONCE = 12;
const HISTORIES_AT_ONCE = 6;

/** What a case is called, on the command line too. */
export function caseName({ history, mutation, opener }: Case): string {
  return `${history.name} | ${mutation.name} | ${opener}`;
}

/** @param root a folder that is empty */
export async function makeHistories(root: string, names: readonly string[] = HISTORIES): Promise<History[]> {
  const made = new Map<string, History>();
  await inParallel(names, HISTORIES_AT_ONCE, async (name) => {
    made.set(name, await makeHistory(name, `${root}/${name}`));
  });
  return names.flatMap((name) => made.get(name) ?? []);
}

/** Every damage to every store, opened by each that opens stores. */
export function allCases(histories: readonly History[]): Case[] {
  return histories.flatMap((history) =>
    mutationsOf(history).flatMap((mutation) => OPENERS.map((opener) => ({ history, mutation, opener }))),
  );
}

/** One of each kind of damage to each store, in an order of the seed's. */
export function chosenCases(histories: readonly History[], seed: number): Case[] {
  const random = new SeededRandom(seed);
  const kinds = new Map<string, Case[]>();
  for (const one of allCases(histories)) {
    const kind = `${one.history.name} | ${one.mutation.kind}`;
    const same = kinds.get(kind);
    if (same === undefined) kinds.set(kind, [one]);
    else same.push(one);
  }
  return shuffled(
    [...kinds.values()].flatMap((same) => random.pick(same) ?? []),
    seed,
  );
}

/** All of them in an order of the seed's. */
export function shuffled(cases: readonly Case[], seed: number): Case[] {
  const random = new SeededRandom(seed);
  const left = [...cases];
  for (let i = left.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const [a, b] = [left[i], left[j]];
    if (a !== undefined && b !== undefined) [left[i], left[j]] = [b, a];
  }
  return left;
}

/** Judges cases, several at a time. @param isOver asked before each */
export async function judgeAll(
  cases: readonly Case[],
  root: string,
  onOutcome: (one: Case, outcome: Outcome) => void,
  isOver: () => boolean = () => false,
): Promise<void> {
  await inParallel(cases, CASES_AT_ONCE, async (one) => {
    if (!isOver()) onOutcome(one, await judge(one, root));
  });
}

/** A folder for stores, in memory where that is possible. */
export function fuzzFolder(): string {
  const memory = '/dev/shm';
  return mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'stanchion-fuzz-'));
}

/** A finding with the command that shows it again. */
export function lineOf(one: Case, what: string, root: string): string {
  const text = what.replaceAll(new RegExp(`${root}/case-[^/]*/store`, 'g'), 'DIR');
  return `npm run fuzz:store -- --case '${caseName(one)}'\n  ${text}`;
}

async function inParallel<T>(
  items: readonly T[],
  count: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (const item of waiting) await work(item);
    }),
  );
}
