import { setTimeout as sleep } from 'node:timers/promises';
import { StartPosition } from '../protocol/messages.js';
import { Publisher } from './drill-publisher.js';
import { Ledger } from './ledger.js';
import { MAX_PUBLISHER, newPayloadView, readPayload } from './payload.js';
import type { StanClient } from './stan-client.js';
import { GroupError } from './watched-group.js';

/**
 * The channels of all drills. The protocol cannot delete channels, so new names for each drill would fill the store with old channels.
 * Messages of earlier drills are before the mark that each drill publishes.
 */
export const DRILL_CHANNELS = {
  load: 'stanchion.drill.load',
  probe: 'stanchion.drill.probe',
  stored: 'stanchion.drill.stored',
} as const;

const LOOK_MS = 5;
const RETRY_MS = 500;
const GIVE_UP_MS = 30_000;

/**
 * Publishes the mark: the message at which this drill begins in the channel.
 *
 * @param run id of the drill: `RUN_LENGTH` characters
 * @returns the sequence of the mark; messages of this drill have higher ones
 * @throws GroupError if the mark is refused, or not delivered
 */
export async function markBeginning(client: StanClient, channel: string, run: string): Promise<number> {
  const view = newPayloadView();
  let sequence: number | undefined;
  const unsubscribe = await client.subscribe(
    { subject: channel, startPosition: StartPosition.NEW_ONLY, maxInFlight: 1_024, ackWaitSeconds: 5 },
    (each, _isRedelivered, buffer, start, end) => {
      if (readPayload(buffer, start, end, run, view)) sequence = each;
    },
  );
  const ledger = new Ledger('mark', MAX_PUBLISHER);
  const mark = { client, channel, run, ledger, window: 1, retryMs: RETRY_MS, ackTimeoutMs: GIVE_UP_MS };
  const publisher = new Publisher(mark);
  const untilMs = performance.now() + GIVE_UP_MS;
  publisher.send(1, performance.now());
  while (sequence === undefined || !publisher.isIdle) {
    const nowMs = performance.now();
    if (nowMs > untilMs) {
      const why = ledger.lastRefusal === '' ? '' : `. The last answer was: ${ledger.lastRefusal}`;
      throw new GroupError(`the mark at the beginning of ${channel} was not stored and delivered${why}`);
    }
    publisher.tick(nowMs);
    await sleep(LOOK_MS);
  }
  await unsubscribe();
  return sequence;
}
