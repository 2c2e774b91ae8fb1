import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rig } from '../harness/rig.js';
import { SmallVolume } from '../harness/small-volume.js';
import { waitFor, within } from '../harness/wait.js';

const { skip } = SmallVolume;
/** 600 of them are more than all the room that is set aside for messages. */
const MESSAGE_BYTES = 30_000;
const ANSWER_MS = 5_000;

describe('a burst of publishes on a disk that is full', { skip }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('is answered, each with an ack or an error, and everything else goes on', async (t) => {
    const volume = new SmallVolume('size=40m');
    t.after(() => volume.remove());
    const broker = await rig.startBroker({ dir: `${volume.dir}/data` });
    t.after(() => broker.destroy());
    const publisher = await rig.connect('publisher', { broker });
    await publisher.publish('foo', 'first');
    volume.fill();
    const errors: string[] = [];
    const answers = Array.from({ length: 600 }, (_, i) =>
      publisher.publish('foo', Buffer.alloc(MESSAGE_BYTES, `${i} `)).catch((error: Error) => {
        errors.push(error.message);
      }),
    );
    await within(Promise.all(answers), 'each publish is answered', ANSWER_MS);
    assert.ok(errors.length > 0 && errors.length < 600, `${errors.length} were refused`);
    assert.deepEqual([...new Set(errors)], ['stanchion: store is full: no space left on the device']);

    const subscriber = await within(rig.connect('subscriber', { broker }), 'a client connects', ANSWER_MS);
    const subscription = await within(
      subscriber.subscribe('foo', { all: true, durableName: 'd', manualAcks: true, maxInFlight: 1_000 }),
      'it subscribes',
      ANSWER_MS,
    );
    const stored = 1 + 600 - errors.length;
    await subscription.got(stored);
    assert.equal(subscription.messages.length, stored, 'what was refused is not there');
    subscription.ackAll();
    await within(subscription.close(), 'it closes its durable', ANSWER_MS);
    const again = await within(subscriber.subscribe('foo', { durableName: 'd' }), 'it comes back', ANSWER_MS);
    await within(subscriber.close(), 'it says goodbye', ANSWER_MS);
    assert.deepEqual(again.sequences, [], 'its acks were kept');
    volume.empty();
    await waitFor(
      () => publisher.publish('foo', 'room again').then(Boolean, () => false),
      'messages are taken when there is room again',
    );
  });
});
