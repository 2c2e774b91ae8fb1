import type { Figures, ReplayLine } from '../lines/line.js';
import { runLoad } from '../programs.js';
import { type Side, startSide } from '../sides.js';
import { type Bench, fill, loadSpec, type Place } from './bench.js';

const PROBE_CHANNEL = 'bench.probe';
const QUICK_DIVISOR = 4;

/** Fills a store, starts the broker anew, and reads all of it while a publisher goes on. */
export async function measureReplay(
  line: ReplayLine,
  side: Side,
  bench: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const { nats, programs, isQuick } = bench;
  const messages = isQuick ? line.messages / QUICK_DIVISOR : line.messages;
  const start = () => startSide(side, programs, { nats, store: 'file', dir, nodeArgs });
  let child = await start();
  try {
    await fill(nats, child, { messages });
    await child.stop();
    child = await start();
    const { warm, probe } = await runLoad(
      loadSpec(nats, child, {
        publishers: 0,
        subscribers: 1,
        isReplay: true,
        payloadBytes: line.payloadBytes,
        warmMessages: messages,
        maxSeconds: 30,
        probe: { channel: PROBE_CHANNEL, perSecond: line.publishesPerSecond },
      }),
    );
    if (warm === undefined || probe === undefined) throw new Error('bench: a replay without figures');
    return {
      warm: warm.messagesPerSecond,
      cpu: warm.targetCpuMicros,
      p99Ms: probe.p99Ms,
      longestMs: probe.longestMs,
    };
  } finally {
    await child.stop();
  }
}
