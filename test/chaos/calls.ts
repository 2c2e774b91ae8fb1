import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('calls.c', import.meta.url));
const EIO = 5;
const ESTALE = 116;

/** Which calls, as calls.c has them: reads, writes, syncs, opening and listing, names. */
const ALL = 'rwson';
const HANGS = [ALL, ALL, 'ws', 's', 'r', 'n', 'ro'];
const FAILURES = [
  `fail w ${EIO}`,
  `fail s ${EIO}`,
  `fail r ${EIO}`,
  `fail o ${EIO}`,
  `fail n ${EIO}`,
  `fail ${ALL} ${ESTALE}`,
  `lost n ${EIO}`,
  `lost ws ${EIO}`,
  'short w',
];
const LONGEST_DELAY_MS = 40;

/** What the calls of members to files of the store meet: each loads a library that strikes them. */
export class Calls {
  readonly #library: string;
  readonly #dir: string;
  readonly #storeDir: string;

  private constructor(dir: string, storeDir: string) {
    this.#dir = dir;
    this.#storeDir = storeDir;
    this.#library = join(dir, 'calls.so');
  }

  /** @returns undefined if there is no C compiler */
  static make(dir: string, storeDir: string): Calls | undefined {
    const calls = new Calls(dir, storeDir);
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', calls.#library, SOURCE, '-ldl'], {
        stdio: 'pipe',
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Error(`calls.c: ${(error as { stderr?: Buffer }).stderr ?? error}`);
    }
    return calls;
  }

  /** Of a member's process. */
  environment(member: number): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      CHAOS_ROOT: this.#storeDir,
      CHAOS_CALLS: this.#faultPath(member),
    };
  }

  /** They do not end until it is undone. */
  hang(member: number, shade: number): () => void {
    return this.#strike(member, `hang ${HANGS[shade % HANGS.length]}`);
  }

  lag(member: number, shade: number): () => void {
    return this.#strike(member, `delay ${ALL} ${1 + (shade % LONGEST_DELAY_MS)}`);
  }

  fail(member: number, shade: number): () => void {
    return this.#strike(member, FAILURES[shade % FAILURES.length]!);
  }

  /** All that was done to it is undone. */
  heal(member: number): void {
    writeFileSync(this.#faultPath(member), '');
  }

  #strike(member: number, line: string): () => void {
    writeFileSync(this.#faultPath(member), line);
    return () => this.heal(member);
  }

  #faultPath(member: number): string {
    return join(this.#dir, `calls-${member}`);
  }
}
