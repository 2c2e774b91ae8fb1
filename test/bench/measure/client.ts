import type { ClientSpec } from '../client/spec.js';
import type { ClientLine, Figures } from '../lines/line.js';
import { CLUSTER_ID, runClient } from '../programs.js';
import { type Side, startSide } from '../sides.js';
import type { Bench, Place } from './bench.js';

const QUICK_DIVISOR = 4;

/** One client of either library, against a broker with the memory store. */
export async function measureClient(
  line: ClientLine,
  side: Side,
  { nats, programs, isQuick }: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const broker = await startSide('stanchion', programs, { nats, store: 'memory', dir, nodeArgs });
  try {
    const spec: ClientSpec = {
      library: side === 'node-nats-streaming' ? 'node-nats-streaming' : 'stanchion',
      side: line.act,
      natsPort: nats.port,
      clusterId: CLUSTER_ID,
      channel: 'bench',
      messages: isQuick ? Math.ceil(line.messages / QUICK_DIVISOR) : line.messages,
      payloadBytes: 128,
    };
    if (line.act === 'receive') await runClient({ ...spec, library: 'stanchion', side: 'publish' });
    const { messagesPerSecond, cpuMicros } = await runClient(spec);
    return { warm: messagesPerSecond, cpu: cpuMicros };
  } finally {
    await broker.stop();
  }
}
