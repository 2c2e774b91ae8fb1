import type { Figures, RestLine } from '../lines/line.js';
import { restingBytes } from '../settle.js';
import { type Side, startSide } from '../sides.js';
import { type Bench, fill, type Place } from './bench.js';

/** Fills a file store, and looks at the broker's memory then, and after a restart. */
export async function measureRest(
  line: RestLine,
  side: Side,
  { nats, programs }: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const start = () => startSide(side, programs, { nats, store: 'file', dir, nodeArgs });
  let child = await start();
  try {
    await fill(nats, child, line);
    const restBytes = await restingBytes(child.pid);
    await child.stop();
    child = await start();
    return { restBytes, restartedBytes: await restingBytes(child.pid) };
  } finally {
    await child.stop();
  }
}
