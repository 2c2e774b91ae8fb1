import { setTimeout as sleep } from 'node:timers/promises';
import { StartPosition } from '../protocol/messages.js';
import type { ChannelCheck } from './channel-check.js';
import type { StanClient } from './stan-client.js';
import { GroupError } from './watched-group.js';

const MAX_IN_FLIGHT = 16_384;
const ACK_WAIT_SECONDS = 60;
const LOOK_MS = 5;
/** The reading gives up after this time without a message. */
const STUCK_MS = 30_000;

/**
 * Reads all messages of the drill in a channel, as a new subscriber receives them, and gives them to the check.
 *
 * @param isLast whether the last message has come
 * @throws GroupError if messages stop coming before that
 */
export async function readBack(
  client: StanClient,
  check: ChannelCheck,
  isLast: () => boolean,
): Promise<void> {
  const { base } = check;
  let aliveMs = performance.now();
  await client.subscribe(
    {
      subject: check.channel,
      startPosition: StartPosition.SEQUENCE_START,
      startSequence: base + 1,
      maxInFlight: MAX_IN_FLIGHT,
      ackWaitSeconds: ACK_WAIT_SECONDS,
    },
    (sequence, _isRedelivered, buffer, start, end) => {
      aliveMs = performance.now();
      // A lower sequence is a redelivery.
      if (sequence - base > check.lastSequence) check.stored(sequence - base, buffer, start, end);
    },
  );
  while (!isLast()) {
    if (performance.now() - aliveMs > STUCK_MS) {
      throw new GroupError(
        `reading back ${check.channel} stopped at sequence ${base + check.lastSequence}: the messages behind it are unknown`,
      );
    }
    await sleep(LOOK_MS);
  }
}
