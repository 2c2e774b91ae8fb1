import { constants } from 'node:os';
import { FileCalls } from '../harness/file-calls.js';

const { EDQUOT, EIO, ESTALE } = constants.errno;

/** Which calls, as file-calls.c has them: reads, writes, syncs, opening and listing, names. */
const ALL = 'rwson';
const HANGS = [ALL, ALL, 'ws', 's', 'r', 'n', 'ro'];
const FAILURES = [
  `fail w ${EIO}`,
  `fail s ${EIO}`,
  `fail r ${EIO}`,
  `fail o ${EIO}`,
  `fail n ${EIO}`,
  `fail w ${EDQUOT}`,
  `fail ${ALL} ${ESTALE}`,
  `lost n ${EIO}`,
  `lost ws ${EIO}`,
  'short w',
];
const LONGEST_DELAY_MS = 40;
/** A call that began before may tell of its failure so long after. */
const AFTERMATH_MS = 2_000;

/** What the calls of members to files of the store meet. */
export class Calls {
  readonly #calls: FileCalls;
  readonly #failingUntilMs = new Map<number, number>();

  private constructor(calls: FileCalls) {
    this.#calls = calls;
  }

  /** @returns undefined if there is no C compiler */
  static make(dir: string, storeDir: string): Calls | undefined {
    const calls = FileCalls.make(dir, storeDir);
    return calls === undefined ? undefined : new Calls(calls);
  }

  /** Of a member's process. */
  environment(member: number): Record<string, string> {
    return this.#calls.environment(String(member));
  }

  /** They do not end until it is undone. */
  hang(member: number, shade: number): () => void {
    return this.#calls.strike(String(member), `hang ${HANGS[shade % HANGS.length]}`);
  }

  lag(member: number, shade: number): () => void {
    return this.#calls.strike(String(member), `delay ${ALL} ${1 + (shade % LONGEST_DELAY_MS)}`);
  }

  fail(member: number, shade: number): () => void {
    this.#failingUntilMs.set(member, Number.POSITIVE_INFINITY);
    const undo = this.#calls.strike(String(member), FAILURES[shade % FAILURES.length]!);
    return () => {
      undo();
      this.#failingUntilMs.set(member, performance.now() + AFTERMATH_MS);
    };
  }

  isFailing(member: number): boolean {
    return performance.now() < (this.#failingUntilMs.get(member) ?? 0);
  }

  /** All that was done to it is undone. */
  heal(member: number): void {
    this.#calls.heal(String(member));
  }
}
