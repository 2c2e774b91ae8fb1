import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../config/config-error.js';

/** A file with the process id of the drill that made the folder. The next drill may remove the files beside it. */
const MARK = '.stanchion-drill';

/** The folder for the store and the logs of a group that a drill starts. */
export class WorkDir {
  readonly path: string;
  readonly store: string;
  readonly logs: string;
  readonly #isTemporary: boolean;

  private constructor(path: string, isTemporary: boolean) {
    this.path = path;
    this.store = join(path, 'store');
    this.logs = join(path, 'logs');
    this.#isTemporary = isTemporary;
  }

  /**
   * @param path undefined for a new temporary folder
   * @throws ConfigError if the folder has other files than a drill's, or another drill uses it
   */
  static open(path: string | undefined): WorkDir {
    const isTemporary = path === undefined;
    const dir = new WorkDir(
      isTemporary ? mkdtempSync(join(tmpdir(), 'stanchion-drill-')) : resolve(path),
      isTemporary,
    );
    dir.#clear();
    mkdirSync(dir.logs, { recursive: true });
    writeFileSync(join(dir.path, MARK), `${process.pid}\n`);
    return dir;
  }

  /** Removes a temporary folder unless it is worth keeping. @returns the folder, if it is kept */
  close(isWorthKeeping: boolean): string | undefined {
    if (this.#isTemporary && !isWorthKeeping) {
      rmSync(this.path, { recursive: true, force: true });
      return undefined;
    }
    writeFileSync(join(this.path, MARK), '\n');
    return this.path;
  }

  #clear(): void {
    let names: string[];
    try {
      names = readdirSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new ConfigError(`--dir ${this.path}: ${(error as Error).message}`);
    }
    if (names.length === 0) return;
    if (!names.includes(MARK)) {
      throw new ConfigError(
        `--dir ${this.path} is not empty, and its files are not from a drill. Name an empty or a new folder`,
      );
    }
    const pid = Number(readFileSync(join(this.path, MARK), 'latin1'));
    if (pid > 0 && pid !== process.pid && runs(pid)) {
      throw new ConfigError(
        `--dir ${this.path} is in use by the drill of process ${pid}. Name another folder`,
      );
    }
    for (const folder of [this.store, this.logs]) rmSync(folder, { recursive: true, force: true });
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
