import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figures, LargeLine } from '../lines/line.js';
import { peakBytes } from '../process-stats.js';
import { runLoad, startNatsServer } from '../programs.js';
import { type Side, startSide } from '../sides.js';
import { takeTurns, turnWatch } from '../turn-watch.js';
import { type Bench, loadSpec, type Place } from './bench.js';

const PROBE_CHANNEL = 'bench.probe';
const QUICK_DIVISOR = 4;
const MAX_SECONDS = 10;

/** Large messages on a nats-server that allows them, and a publisher of small ones beside them. */
export async function measureLarge(
  line: LargeLine,
  side: Side,
  bench: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const configPath = join(dir, 'nats.conf');
  writeFileSync(configPath, `max_payload: ${line.maxPayload}\nmax_pending: ${4 * line.maxPayload}\n`);
  const nats = await startNatsServer(configPath);
  try {
    const socketPath = join(dir, 'turns');
    // Only a program of Node can say how late its event loop is.
    const isNode = side !== 'go';
    const watch = isNode ? ['--import', turnWatch(socketPath)] : [];
    const child = await startSide(side, bench.programs, {
      nats,
      store: 'file',
      dir,
      nodeArgs: [...nodeArgs, ...watch],
    });
    try {
      if (isNode) await takeTurns(socketPath);
      const { warm, probe } = await runLoad(
        loadSpec(nats, child, {
          payloadBytes: line.payloadBytes,
          window: line.window,
          warmMessages: bench.isQuick ? line.messages / QUICK_DIVISOR : line.messages,
          maxSeconds: MAX_SECONDS,
          probe: { channel: PROBE_CHANNEL, perSecond: line.publishesPerSecond },
        }),
      );
      if (warm === undefined || probe === undefined) throw new Error('bench: large messages without figures');
      return {
        warm: warm.messagesPerSecond,
        cpu: warm.targetCpuMicros,
        p99Ms: probe.p99Ms,
        longestMs: probe.longestMs,
        peakBytes: peakBytes(child.pid),
        ...(isNode ? { loopP99Ms: (await takeTurns(socketPath)).p99Ms } : {}),
      };
    } finally {
      await child.stop();
    }
  } finally {
    await nats.child.stop();
  }
}
