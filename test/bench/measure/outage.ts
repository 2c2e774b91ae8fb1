import type { Child } from '../child.js';
import { channelNames, type Figures, type OutageLine } from '../lines/line.js';
import { CLUSTER_ID, runOutage } from '../programs.js';
import { untilIdle } from '../settle.js';
import { type Side, startSide } from '../sides.js';
import { type Bench, fill, newRunId, type Place } from './bench.js';

/** What a standby of either server prints once it watches the active one. */
const STANDBY = /Standby: watching|[Ss]tandby mode|server is standby|STANDBY/;
const PAYLOAD_BYTES = 128;
const STEADY_SECONDS = 3;

/** Kills the active of a group of two under a steady load. */
export async function measureOutage(
  line: OutageLine,
  side: Side,
  { nats, programs }: Bench,
  { dir, nodeArgs }: Place,
): Promise<Figures> {
  const options = { nats, store: 'file', dir, nodeArgs, group: 'bench' } as const;
  const members: Child[] = [];
  try {
    const active = await startSide(side, programs, { ...options, ...nameOf(side, 1) });
    members.push(active);
    if (line.storedMessages > 0) {
      await fill(nats, active, { messages: line.storedMessages });
      await untilIdle(active.pid);
    }
    const standby = await startSide(side, programs, { ...options, ...nameOf(side, 2), started: STANDBY });
    members.push(standby);
    // A standby has hours for what it does before it is at rest.
    await untilIdle(standby.pid);
    const { outageMs, silentMs, beforeMs } = await runOutage({
      natsPort: nats.port,
      clusterId: CLUSTER_ID,
      runId: newRunId(),
      channel: channelNames(1)[0] ?? '',
      payloadBytes: PAYLOAD_BYTES,
      perSecond: line.perSecond,
      steadySeconds: STEADY_SECONDS,
      targetPid: active.pid,
    });
    return { ms: outageMs, longestMs: silentMs, p99Ms: beforeMs };
  } finally {
    for (const member of members) await member.stop();
  }
}

/** Members of stanchion's groups have names, those of the Go server's have none. */
function nameOf(side: Side, number: number): { args?: readonly string[] } {
  return side === 'go' ? {} : { args: ['--node-name', `bench-${number}`] };
}
