import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('file-calls.c', import.meta.url));

/** What the calls of real processes to files below a folder meet: each loads a library that strikes them. */
export class FileCalls {
  readonly #library: string;
  readonly #dir: string;
  readonly #root: string;

  private constructor(dir: string, root: string) {
    this.#dir = dir;
    this.#root = root;
    this.#library = join(dir, 'file-calls.so');
  }

  /**
   * @param dir for what it needs itself
   * @param root files below it are struck
   * @returns undefined if there is no C compiler, or another system than Linux
   */
  static make(dir: string, root: string): FileCalls | undefined {
    if (process.platform !== 'linux') return undefined;
    const calls = new FileCalls(dir, root);
    const args = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', calls.#library, SOURCE];
    try {
      execFileSync('cc', [...args, '-ldl'], { stdio: 'pipe' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Error(`${SOURCE} does not compile:\n${(error as { stderr?: Buffer }).stderr ?? error}`);
    }
    return calls;
  }

  /** What a process is started with, to be struck under this name. */
  environment(name: string): Record<string, string> {
    return { LD_PRELOAD: this.#library, FILE_CALLS_ROOT: this.#root, FILE_CALLS: this.#faultPath(name) };
  }

  /** @param fault a line, as file-calls.c has them @returns undoes it */
  strike(name: string, fault: string): () => void {
    writeFileSync(this.#faultPath(name), fault);
    return () => this.heal(name);
  }

  heal(name: string): void {
    writeFileSync(this.#faultPath(name), '');
  }

  #faultPath(name: string): string {
    return join(this.#dir, `file-calls-${name}`);
  }
}
