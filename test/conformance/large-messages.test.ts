import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { StartPosition } from '../../src/protocol/messages.js';
import type { Broker } from '../harness/broker.js';
import type { RawSubscription } from '../harness/raw-client.js';
import { isOtherServer, Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

const MIB = 1024 * 1024;
const SIZES_BYTES = [MIB, 8 * MIB, 60 * MIB, MIB, 8 * MIB];
const ALL_BYTES = SIZES_BYTES.reduce((sum, size) => sum + size, 0);
/** What a broker takes beyond the messages: the program, and buffers of a fixed size. */
const PROGRAM_BYTES = 220 * MIB;
/** A server that has more than 64 MB to send to a connection, which is usual, closes it: all messages together have more. */
const NATS_CONFIG = `max_payload: ${64 * MIB}\nmax_pending: ${512 * MIB}\n`;
const WAIT_MS = 60_000;
/** On a busy machine, so many bytes take longer than the ack wait that is usual: then the first come again before the last have come. */
const ACK_WAIT_SECONDS = 600;

/** No two pages of it are the same, and none is of another message. */
function payload(sizeBytes: number, seed: number): Buffer {
  const data = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 4096) data.writeUInt32LE(at + seed, at);
  return data;
}

function hash(data: Uint8Array): string {
  return createHash('sha1').update(data).digest('hex');
}

/** The most memory that a process has had so far; 0 where there is no /proc. */
function peakBytes({ pid }: Broker): number {
  const path = `/proc/${pid}/status`;
  const status = existsSync(path) ? readFileSync(path, 'latin1') : '';
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** The messages number `from` to `to` that a subscription gets, as hashes. */
async function got(subscription: RawSubscription, from: number, to: number): Promise<string[]> {
  const { messages } = subscription;
  await waitFor(
    () => messages.length >= to,
    () => `${to} messages come; ${messages.length} came`,
    WAIT_MS,
  );
  return messages.slice(from, to).map(({ data }) => hash(data));
}

describe('Messages of 1 to 60 MiB, where nats-server allows 64', { skip: isOtherServer }, () => {
  const rig = new Rig({ store: 'file', broker: false, natsConfig: NATS_CONFIG });

  it('are delivered, delivered again, replayed from the disk and after a takeover, all in bounded memory', async () => {
    const flags = ['--ft-group', 'large', '--max-bytes', '0'];
    const active = await rig.startBroker({ flags });
    const standby = await rig.startBroker(active.settings);
    const clientId = 'client';
    const subject = 'large';
    // A message of 60 MiB to a subscriber would be in the way of the acks on the same connection.
    const [publisher, subscriber] = [await rig.raw(active), await rig.raw(active)];
    await publisher.join(clientId);
    const waits = { ackWaitSeconds: ACK_WAIT_SECONDS };
    const durable = {
      clientId,
      subject,
      durableName: 'durable',
      startPosition: StartPosition.FIRST,
      ...waits,
    };
    const live = await subscriber.subscribe(durable);
    const hashes: string[] = [];
    for (const [seed, size] of SIZES_BYTES.entries()) {
      const data = payload(size, seed);
      hashes.push(hash(data));
      const { error } = await publisher.publish({ clientId, subject, data });
      assert.equal(error, '');
    }
    const count = hashes.length;
    assert.deepEqual(await got(live, 0, count), hashes);

    // What it has not acknowledged comes again.
    await subscriber.closeSubscription({ clientId, subject, inbox: live.response.ackInbox });
    const back = await subscriber.subscribe(durable);
    assert.deepEqual(await got(back, 0, count), hashes);
    assert.ok(back.messages.every(({ redelivered }) => redelivered));

    // The cache of the newest messages is 8 MiB, so most of them are read from files.
    const replay = { clientId, subject, startPosition: StartPosition.FIRST, ...waits };
    const all = await subscriber.subscribe(replay);
    assert.deepEqual(await got(all, 0, count), hashes);
    const activePeakBytes = peakBytes(active);
    await active.kill();
    await waitFor(() => standby.output.includes('Streaming Server is ready'), 'the standby serves', WAIT_MS);
    const later = await subscriber.subscribe(replay);
    assert.deepEqual(await got(later, 0, count), hashes);
    for (const bytes of [activePeakBytes, peakBytes(standby)]) {
      assert.ok(bytes < PROGRAM_BYTES + 4 * ALL_BYTES, `${Math.round(bytes / MIB)} MiB at most`);
    }
  });
});
