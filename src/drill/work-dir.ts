import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../config/config-error.js';

/** Says that a drill made the folder, and which process: what is beside it may be removed by the next one. */
const MARK = '.stanchion-drill';

/** Where a drill keeps the store and the logs of the group that it starts. */
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
   * @param path undefined: a fresh folder for temporary files
   * @throws ConfigError if it holds anything that no drill made, or a drill works there
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

  /** @returns where the files are, if they are kept: in a folder that somebody named, or if they may tell something */
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
        `--dir ${this.path} is not empty, and no drill made what is in it. Name an empty folder, or one that is not there`,
      );
    }
    const pid = Number(readFileSync(join(this.path, MARK), 'latin1'));
    if (pid > 0 && pid !== process.pid && runs(pid)) {
      throw new ConfigError(
        `--dir ${this.path}: the drill of process ${pid} works there. Name another folder`,
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
