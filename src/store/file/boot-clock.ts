// The boot clock: the store's own time, carried on by what the machine has counted since its start. It shows whether the wall clock has
// jumped while no broker ran.

import type { Clock, Timer } from '../../clock/clock.js';
import { readWhole, removeIfThere, writeAll } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { BOOT_CLOCK_FILE } from '../../files/store-folder.js';
import { isCount } from '../../util/fields.js';

export interface BootClockOptions {
  fs: StoreFs;
  clock: Clock;
  dir: string;
  /** Names the present run of this machine, from its start on; undefined where that is not known. */
  bootId: string | undefined;
}

/** What the file says. It is not synced: a machine that has lost it has started anew, and then it says nothing anyway. */
interface BootRecord {
  readonly bootId: string;
  /** The epoch of the term that wrote it. Former programs did not write it. */
  readonly epoch: number;
  /** At this many milliseconds since the start of the machine, sleep included, ... */
  readonly uptimeMs: number;
  /** ... the store's own time was this, in milliseconds since 1970. */
  readonly storeMs: number;
}

/** Small steps of the wall clock, which are believed, add up. */
const RENEWED_MS = 3_600_000;
const MAX_BYTES = 4_096;

/** The store's own time now in nanoseconds, if a broker has had it open since this machine started; undefined if that is not known. */
export async function timeByBootNs({
  fs,
  clock,
  dir,
  bootId,
}: BootClockOptions): Promise<bigint | undefined> {
  const uptimeMs = clock.uptimeMs?.();
  if (bootId === undefined || uptimeMs === undefined) return undefined;
  const record = await readRecord(fs, dir);
  if (record === undefined || record.bootId !== bootId) return undefined;
  const passedMs = uptimeMs - record.uptimeMs;
  if (passedMs < 0) return undefined;
  return BigInt(Math.round(record.storeMs + passedMs)) * 1_000_000n;
}

/**
 * Records the store's own time now, and every hour. A record that cannot be written is missed by none but the next broker, which believes
 * its clock then. A term that goes on after its end, as after a pause, leaves the record of its successor as it is.
 *
 * @param storeMs the store's own time
 * @returns ends it, and resolves when nothing more is written: the folder of a closed store may be removed, or moved
 */
export function recordBootClock(
  options: BootClockOptions,
  epoch: number,
  storeMs: () => number,
): () => Promise<void> {
  const { clock, bootId } = options;
  if (bootId === undefined || clock.uptimeMs === undefined) return async () => {};
  let timer: Timer | undefined;
  let writing = Promise.resolve();
  const record = (): void => {
    const uptimeMs = clock.uptimeMs?.() ?? 0;
    writing = write(options, { bootId, epoch, uptimeMs, storeMs: storeMs() }).catch(() => {});
    timer = clock.setTimer(RENEWED_MS, record);
  };
  record();
  return () => {
    timer?.cancel();
    return writing;
  };
}

async function readRecord(fs: StoreFs, dir: string): Promise<BootRecord | undefined> {
  return parsed(await readWhole(fs, `${dir}/${BOOT_CLOCK_FILE}`).catch(() => undefined));
}

async function write({ fs, dir }: BootClockOptions, record: BootRecord): Promise<void> {
  const present = await readRecord(fs, dir);
  if (present !== undefined && present.epoch > record.epoch) return;
  const path = `${dir}/${BOOT_CLOCK_FILE}`;
  const temporary = `${path}.tmp`;
  const content = Buffer.from(`${JSON.stringify(record)}\n`);
  await removeIfThere(fs, temporary);
  const file = await fs.open(temporary, 'create');
  try {
    await writeAll(file, content, 0, content.length, 0);
  } finally {
    await file.close();
  }
  await fs.rename(temporary, path);
}

function parsed(content: Buffer | undefined): BootRecord | undefined {
  if (content === undefined || content.length > MAX_BYTES) return undefined;
  try {
    const { bootId, epoch = 0, uptimeMs, storeMs } = JSON.parse(content.toString()) as Partial<BootRecord>;
    if (typeof bootId !== 'string' || !isCount(epoch) || !isTime(uptimeMs) || !isTime(storeMs))
      return undefined;
    return { bootId, epoch, uptimeMs, storeMs };
  } catch {
    return undefined;
  }
}

function isTime(ms: unknown): ms is number {
  return typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER;
}
