import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RESERVE_FILES = 7;
const PIECES = [1024 * 1024, 64 * 1024, 4096];

/** A real file system of a fixed size, which can be filled up. Needs root, to mount it. */
export class SmallVolume {
  readonly dir: string;
  #fillers = 0;

  /** @param options of tmpfs, as `size=40m,nr_inodes=100` */
  constructor(options: string) {
    this.dir = mkdtempSync(join(tmpdir(), 'stanchion-volume-'));
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', this.dir], {
      encoding: 'utf8',
    });
    if (status === 0) return;
    rmSync(this.dir, { recursive: true });
    throw new Error(`nothing can be mounted here: ${stderr}`);
  }

  /** Why tests that need one are skipped; false if they are not. */
  static get skip(): string | false {
    try {
      new SmallVolume('size=64k').remove();
      return false;
    } catch {
      return 'needs root, to mount a small file system';
    }
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir);
    return bavail * bsize;
  }

  get freeFiles(): number {
    return statfsSync(this.dir).ffree;
  }

  /** Whether the file store in this folder has all set aside that it wants to. */
  hasReserve(dir: string): boolean {
    const folder = join(dir, 'reserve');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.length === RESERVE_FILES && names.some((name) => name.endsWith('.seg'));
  }

  /** Takes all room but so many bytes. */
  fill(leaveBytes = 0): void {
    const file = openSync(join(this.dir, `filler.${++this.#fillers}`), 'wx');
    try {
      for (const bytes of PIECES) {
        const piece = Buffer.alloc(bytes, 1);
        while (this.freeBytes - bytes >= leaveBytes && writeSync(file, piece) === bytes);
      }
    } finally {
      closeSync(file);
    }
  }

  /** Takes all inodes: no file and no folder can be made. */
  fillFiles(): void {
    while (this.freeFiles > 0) closeSync(openSync(join(this.dir, `filler.${++this.#fillers}`), 'wx'));
  }

  /** What the store in this folder has, for a message. */
  shown(dir: string): string {
    const folders = ['journal', 'segments', 'checkpoints', 'reserve'];
    const lists = folders.map((name) => `${name}: ${readdirSync(join(dir, name)).join(' ')}`);
    return `${this.freeBytes} bytes and ${this.freeFiles} inodes are free; ${lists.join('; ')}`;
  }

  /** Gives back what was taken. */
  empty(): void {
    for (; this.#fillers > 0; this.#fillers--)
      rmSync(join(this.dir, `filler.${this.#fillers}`), { force: true });
  }

  remove(): void {
    // Whoever may still have a file open does not keep it from going.
    spawnSync('umount', ['-l', this.dir]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
