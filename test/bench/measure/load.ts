import type { Figures, LoadLine } from '../lines/line.js';
import type { LoadResult, Phase } from '../load/spec.js';
import { callBytes } from '../process-stats.js';
import { runLoad, startDiskWriter, WARM_UP_CLUSTER_ID } from '../programs.js';
import { untilIdle } from '../settle.js';
import { isFloor, type Side, startSide } from '../sides.js';
import { type Bench, fill, loadSpec, type Place } from './bench.js';

/** So many times the cold messages follow. */
const WARM_TIMES = 4;
const QUICK_TIMES = 2;
const QUICK_DIVISOR = 2;
/** Payload of a run: of less, what a process writes besides is too large a share. */
const MIN_WRITTEN_BYTES = 8 * 1024 * 1024;
/** Publishers wait when a subscriber is so many messages behind, or as many as they have in flight. */
const MIN_LAG = 256;
/** A side that is slower than its line expects ends each phase after this time. */
const MAX_PHASE_SECONDS = 4;
/** So many times what a channel keeps is published before what is measured. */
const LIMIT_TIMES = 1.5;

/** A new process under a load: its first messages, and those behind them. */
export async function measureLoad(
  line: LoadLine,
  side: Side,
  bench: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const { nats, programs, isQuick, isColdOnly } = bench;
  const isDiskBusy = line.isDiskBusy || (bench.isDiskBusy && line.store === 'file');
  const writer = isDiskBusy ? await startDiskWriter(dir) : undefined;
  try {
    const group = side === 'group' ? { group: 'bench' } : {};
    const { store, channelBytes } = line;
    const child = await startSide(side, programs, { nats, store, dir, nodeArgs, channelBytes, ...group });
    try {
      // A broker that has just started warms its code as long as it has nothing better to do.
      if (!line.isAtOnce) await untilIdle(child.pid);
      const coldMessages = isQuick ? Math.ceil(line.coldMessages / QUICK_DIVISOR) : line.coldMessages;
      const { publishers, subscribers, isQueue, channels, payloadBytes } = line;
      if (channelBytes > 0 && !isFloor(side)) {
        const messages = Math.ceil((channelBytes * LIMIT_TIMES) / payloadBytes);
        await fill(nats, child, { messages, channels, payloadBytes, window: line.window });
        await untilIdle(child.pid);
      }
      // One in flight is what its line is about.
      const window = line.window === 1 ? 1 : (bench.window ?? line.window);
      const result = await runLoad(
        loadSpec(nats, child, {
          ...{ publishers, subscribers, isQueue, channels, payloadBytes, coldMessages },
          warmUpClusterId: line.isAtOnce ? undefined : WARM_UP_CLUSTER_ID,
          window,
          maxLag: Math.max(publishers * window, MIN_LAG),
          warmMessages: isColdOnly ? 0 : coldMessages * (isQuick ? QUICK_TIMES : WARM_TIMES),
          maxSeconds: MAX_PHASE_SECONDS,
        }),
      );
      if (result.redelivered > 0)
        throw new Error(`bench: ${result.redelivered} messages were delivered twice without a reason`);
      await untilIdle(child.pid);
      const isCounted = line.store === 'file' && result.totalMessages * payloadBytes >= MIN_WRITTEN_BYTES;
      const after = { target: callBytes(child.pid).written, natsRead: callBytes(nats.child.pid).read };
      return {
        ...figuresOf(line, result),
        ...(isCounted ? { written: writtenPerByte(result, after, payloadBytes) } : {}),
      };
    } finally {
      await child.stop();
    }
  } finally {
    await writer?.stop();
  }
}

function figuresOf({ subscribers, isQueue, channelBytes }: LoadLine, { cold, warm }: LoadResult): Figures {
  // Where each gets all, deliveries are what is to be counted.
  const times = isQueue ? 1 : Math.max(1, subscribers);
  const phase = warm ?? cold;
  return {
    // Behind what has filled the channel, no message is a first one.
    ...(cold === undefined || channelBytes > 0 ? {} : { cold: cold.messagesPerSecond * times }),
    ...(warm === undefined ? {} : { warm: warm.messagesPerSecond * times }),
    ...(phase === undefined ? {} : { cpu: phase.targetCpuMicros, ...coresOf(phase) }),
  };
}

function coresOf({
  messagesPerSecond,
  targetCpuMicros,
  natsCpuMicros,
  loadCpuMicros,
  otherCores,
}: Phase): Figures {
  const cores = (micros: number): number => (micros * messagesPerSecond) / 1e6;
  return {
    selfCores: cores(targetCpuMicros),
    natsCores: cores(natsCpuMicros),
    loadCores: cores(loadCpuMicros),
    otherCores,
  };
}

/**
 * Bytes that a process wrote to files, per byte of payload. Linux counts the bytes of all write calls together, sockets
 * included. What the process wrote on its socket is what nats-server read beyond the bytes of the load generator: exact,
 * as long as they are the only two that speak with it.
 */
export function writtenPerByte(
  { totalMessages, sentBytes, natsReadBytes, targetWrittenBytes }: LoadResult,
  after: { target: number; natsRead: number },
  payloadBytes: number,
): number {
  const onSocket = after.natsRead - natsReadBytes - sentBytes;
  return (after.target - targetWrittenBytes - onSocket) / (totalMessages * payloadBytes);
}
