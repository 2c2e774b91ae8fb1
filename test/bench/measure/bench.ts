import type { Child } from '../child.js';
import { channelNames } from '../lines/line.js';
import type { LoadSpec } from '../load/spec.js';
import { CLUSTER_ID, type NatsServer, runLoad } from '../programs.js';
import type { Programs } from '../sides.js';

/** What all measurements of one call of the bench share. */
export interface Bench {
  programs: Programs;
  nats: NatsServer;
  /** Messages in flight, instead of the lines' own. */
  window: number | undefined;
  /** Only the first messages of a new process. */
  isColdOnly: boolean;
  isQuick: boolean;
  /** Every load beside another writer on the same disk. */
  isDiskBusy: boolean;
}

/** One process is measured once: where its files are, and what it is started with. */
export interface Place {
  dir: string;
  nodeArgs: readonly string[];
}

const MAX_IN_FLIGHT = 8_192;
const MAX_LAG = 32_768;
const DEFAULTS = {
  clusterId: CLUSTER_ID,
  publishers: 1,
  subscribers: 0,
  isQueue: false,
  isReplay: false,
  payloadBytes: 128,
  window: 4_000,
  maxInFlight: MAX_IN_FLIGHT,
  maxLag: MAX_LAG,
  coldMessages: 0,
  warmMessages: 0,
  maxSeconds: 15,
};

let runs = 0;

/** A load on one process; what is not named is that of the simplest line. */
export function loadSpec(
  nats: NatsServer,
  target: Child,
  { channels, ...given }: Omit<Partial<LoadSpec>, 'channels'> & { channels?: number },
): LoadSpec {
  return {
    ...DEFAULTS,
    natsPort: nats.port,
    runId: newRunId(),
    channels: channelNames(channels ?? 1),
    targetPid: target.pid,
    natsPid: nats.child.pid,
    ...given,
  };
}

/** Differs from that of every other run, also of other benches on the same machine. */
export function newRunId(): string {
  return `${process.pid.toString(36)}x${(++runs).toString(36)}`;
}

const FILL_PUBLISHERS = 4;
const MAX_FILL_SECONDS = 180;

export interface Filling {
  messages: number;
  channels?: number;
  payloadBytes?: number;
  /** Messages in flight per publisher. */
  window?: number;
}

/** @throws Error if that takes too long */
export async function fill(
  nats: NatsServer,
  target: Child,
  { messages, channels = 1, payloadBytes = DEFAULTS.payloadBytes, window = DEFAULTS.window }: Filling,
): Promise<void> {
  const { totalMessages } = await runLoad(
    loadSpec(nats, target, {
      publishers: FILL_PUBLISHERS,
      channels,
      payloadBytes,
      window: Math.max(window, channels),
      warmMessages: messages,
      maxSeconds: MAX_FILL_SECONDS,
    }),
  );
  if (totalMessages < messages)
    throw new Error(`bench: only ${totalMessages} messages were stored in ${MAX_FILL_SECONDS} s`);
}
