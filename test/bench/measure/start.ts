import { Child } from '../child.js';
import type { Figures, StartLine } from '../lines/line.js';
import { brokerMain, CLUSTER_ID, START_MS } from '../programs.js';
import { type Side, startSide } from '../sides.js';
import type { Bench, Place } from './bench.js';

/** From the start of a process until it is ready, or has done what it was called for. */
export async function measureStart(
  line: StartLine,
  side: Side,
  { nats, programs }: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const start = () => startSide(side, programs, { nats, store: 'file', dir, nodeArgs });
  if (line.command === 'help') return { ms: await tookMs(() => runTool(['--help'])) };
  if (line.command === 'pub') {
    const broker = await start();
    try {
      const args = [
        'pub',
        'bench',
        'a message',
        '--cluster-id',
        CLUSTER_ID,
        '--nats-server',
        `nats://127.0.0.1:${nats.port}`,
      ];
      return { ms: await tookMs(() => runTool(args)) };
    } finally {
      await broker.stop();
    }
  }
  let child: Child | undefined;
  try {
    const ms = await tookMs(async () => {
      child = await start();
    });
    return { ms };
  } finally {
    await child?.stop();
  }
}

async function runTool(args: string[]): Promise<void> {
  await new Child(`stanchion ${args[0]}`, process.execPath, [brokerMain, ...args]).completed(START_MS);
}

async function tookMs(act: () => Promise<void>): Promise<number> {
  const begunMs = performance.now();
  await act();
  return performance.now() - begunMs;
}
