import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SIZE_MIB = 96;
/** What others free meanwhile is taken too. */
const REFILL_MS = 100;

/** A small file system in a file, which can be filled up. */
export class Disk {
  readonly dir: string;
  readonly #image: string;

  private constructor(dir: string, image: string) {
    this.dir = dir;
    this.#image = image;
  }

  /** @returns undefined if nothing can be mounted here */
  static async mount(parent: string): Promise<Disk | undefined> {
    const disk = new Disk(join(parent, 'disk'), join(parent, 'disk.img'));
    mkdirSync(disk.dir);
    try {
      await run('truncate', ['-s', `${SIZE_MIB}M`, disk.#image]);
      await run('mkfs.ext4', ['-q', '-F', disk.#image]);
      await run('mount', ['-o', 'loop', disk.#image, disk.dir]);
      return disk;
    } catch {
      await disk.remove();
      return undefined;
    }
  }

  /** Leaves no byte, until it is undone. */
  fill(): () => Promise<void> {
    const file = join(this.dir, 'fill');
    let isFull = true;
    const filling = (async () => {
      while (isFull) {
        await run('dd', ['if=/dev/zero', `of=${file}`, 'bs=64k', 'oflag=append', 'conv=notrunc']).catch(
          () => {},
        );
        await run('dd', [
          'if=/dev/zero',
          `of=${file}`,
          'bs=1',
          'count=8k',
          'oflag=append',
          'conv=notrunc',
        ]).catch(() => {});
        await sleep(REFILL_MS);
      }
    })();
    return async () => {
      isFull = false;
      await filling;
      rmSync(file, { force: true });
    };
  }

  async remove(): Promise<void> {
    await run('umount', ['-l', this.dir]).catch(() => {});
    rmSync(this.#image, { force: true });
    rmSync(this.dir, { recursive: true, force: true });
  }
}
