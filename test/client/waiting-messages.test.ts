import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stringCodec } from '../../src/client/codec.js';
import { ReceivedMessage } from '../../src/client/message.js';
import { WaitingMessages } from '../../src/client/waiting-messages.js';
import { encodeMsgProtoMessage } from '../../src/protocol/messages.js';
import { waitFor } from '../harness/wait.js';
import { ClientRig, texts } from './client-rig.js';

function messageOf(sequence: number): ReceivedMessage {
  const source = { subject: 'foo', codec: stringCodec(), ack: () => {} };
  return ReceivedMessage.from(source, encodeMsgProtoMessage({ sequence, subject: 'foo', timestamp: 1n }))!;
}

describe('messages that wait to be handed out', () => {
  it('come out in order, and are known while they wait', () => {
    const waiting = new WaitingMessages();
    assert.equal(waiting.shift(), undefined);
    let next = 1;
    for (let round = 1; round <= 50; round++) {
      for (let i = 0; i < 200; i++) waiting.push(messageOf((round - 1) * 200 + i + 1));
      if (round % 10 === 0) assert.deepEqual([waiting.has(next), waiting.has(next - 1)], [true, false]);
      for (let i = 0; i < 150; i++) assert.equal(waiting.shift()?.sequence, next++);
      assert.equal(waiting.length, round * 50);
    }
    while (waiting.length > 0) assert.equal(waiting.shift()?.sequence, next++);
    assert.deepEqual([next, waiting.has(next - 1), waiting.shift()], [10_001, false, undefined]);
  });

  // Looking at each of the others would take a minute here.
  it('are found among very many', () => {
    const waiting = new WaitingMessages();
    const count = 100_000;
    for (let sequence = 1; sequence <= count; sequence++) waiting.push(messageOf(sequence));
    for (let sequence = 1; sequence <= count; sequence++) assert.equal(waiting.has(sequence), true);
    while (waiting.length > 0) waiting.shift();
    assert.equal(waiting.has(count), false);
  });

  describe('of a channel that loses its oldest messages', () => {
    const rig = new ClientRig({ store: 'memory', flags: ['--max-msgs', '10'] });

    it('do not pile up when they are not read', async () => {
      const connection = await rig.connect();
      const channel = rig.channel();
      const options = { maxInFlight: 20, ackWait: 1_000 };
      const subscription = await connection.subscribe(channel, options);
      let published = 0;
      // The broker gives up what is gone when its ack wait is over, and has room for more: again and again.
      const until = performance.now() + 4_500;
      await waitFor(
        async () => {
          await connection.publish(channel, String(++published));
          assert.ok(subscription.getPending() <= 40);
          return subscription.getPending() === 40 && performance.now() > until;
        },
        () => `${subscription.getPending()} wait`,
        20_000,
      );
      const [first] = await texts(subscription[Symbol.asyncIterator](), 1);
      assert.ok(Number(first) > 1);
    });
  });
});
