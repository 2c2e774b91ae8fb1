/** Publishes at a steady rate, kills the broker, and measures until clients are served as before. Argument: an `OutageSpec` as JSON. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectClient } from './client.js';
import { PacedPublisher } from './paced-publisher.js';
import type { OutageResult, OutageSpec } from './spec.js';

const LOOK_MS = 1;
/** Messages that wait no longer than this are served as before, whatever the wait was. */
const SERVED_MS = 50;
/** It has to stay so. */
const FOR_GOOD_MS = 1_000;
const MAX_OUTAGE_MS = 30_000;
/** At the start: until the publisher and the broker are warm. */
const SETTLE_MS = 1_000;

async function measure(spec: OutageSpec): Promise<OutageResult> {
  const { channel, payloadBytes, perSecond, steadySeconds, targetPid } = spec;
  const client = await connectClient(spec, 'k0', fail);
  const guidPrefix = `g${client.connId.slice(-11)}`;
  const publisher = new PacedPublisher(client, { channel, payloadBytes, perSecond, guidPrefix });
  await client.connection.flush();
  publisher.start();
  await sleep(SETTLE_MS);
  publisher.takeWaits();
  await sleep(steadySeconds * 1_000);
  const beforeMs = publisher.takeWaits().p99Ms;
  const servedMs = Math.max(SERVED_MS, 2 * beforeMs);

  process.kill(targetPid, 'SIGKILL');
  const killedMs = performance.now();
  let silentMs = 0;
  let sinceMs: number | undefined;
  for (;;) {
    await sleep(LOOK_MS);
    const nowMs = performance.now();
    silentMs = Math.max(silentMs, nowMs - publisher.lastAckMs);
    // Nothing is known in the first moments: the acks of the dead broker are still on their way.
    const isServed = nowMs - killedMs > servedMs && publisher.oldestMs(nowMs) <= servedMs;
    if (!isServed) sinceMs = undefined;
    else sinceMs ??= nowMs;
    if (sinceMs !== undefined && nowMs - sinceMs >= FOR_GOOD_MS) break;
    if (nowMs - killedMs > MAX_OUTAGE_MS)
      throw new Error(
        `bench: ${MAX_OUTAGE_MS} ms after the kill clients are not served as before${refusalOf(publisher)}`,
      );
  }
  publisher.stop();
  client.connection.close();
  return {
    outageMs: sinceMs - killedMs,
    silentMs,
    beforeMs,
    sentAgain: publisher.sentAgain,
    refused: publisher.refused,
  };
}

function refusalOf({ refused, refusal }: PacedPublisher): string {
  return refusal === undefined ? '' : `; ${refused} messages were refused: ${JSON.stringify(refusal)}`;
}

function fail(error: Error): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

try {
  const result = await measure(JSON.parse(process.argv[2] ?? '{}') as OutageSpec);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
} catch (error) {
  fail(error as Error);
}
