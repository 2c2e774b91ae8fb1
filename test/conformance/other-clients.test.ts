import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connect } from '../../src/index.js';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { encodeAck, encodeCloseRequest, encodeUnsubscribeRequest } from '../../src/protocol/messages.js';
import { isOtherServer, Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

/** More subscriptions than the broker has. */
const TRIES = 50;

// Clients of the Go server can do all of this to each other.
describe('A client among others that may publish what it wants', { skip: isOtherServer }, () => {
  const rig = new Rig({ store: 'file' });

  it('neither acknowledges messages of others nor ends their subscriptions, however often it tries', async () => {
    const victim = await rig.connect('victim');
    const subject = rig.name('channel');
    const options = { all: true, manualAcks: true, durableName: 'd' };
    const got: number[] = [];
    await victim.subscribe(subject, { ...options, onMessage: ({ sequence }) => got.push(sequence) });
    for (let i = 0; i < 10; i++) await victim.publish(subject, `${i}`);
    await waitFor(() => got.length === 10, 'it has 10 messages');

    const attacker = await rig.raw();
    await attacker.join('attacker');
    // Its own ack inbox shows what they are like.
    const { ackInbox } = (await attacker.subscribe({ clientId: 'attacker', subject })).response;
    const [, prefix = '', , rest = ''] = /^(.*\.)(\d+)(.*)$/.exec(ackInbox) ?? [];
    const names = Array.from({ length: TRIES }, (_, id) => [
      `${prefix}${id}`,
      `${prefix}${id}${rest}`,
    ]).flat();
    for (const name of names.filter((each) => each !== ackInbox)) {
      for (const sequence of got) attacker.nats.publish(name, encodeAck({ subject, sequence }));
      for (const clientId of ['victim', 'attacker']) {
        const request = encodeUnsubscribeRequest({ clientId, subject, inbox: name });
        for (const to of [attacker.subjects.unsubscribe, attacker.subjects.subscriptionClose]) {
          attacker.nats.publish(to, request);
        }
      }
    }
    // Behind all of these.
    await attacker.publish({ clientId: 'attacker', subject });
    await victim.drop();
    await attacker.close('victim');

    const again = await rig.connect('victim');
    const then: number[] = [];
    await again.subscribe(subject, { ...options, onMessage: ({ sequence }) => then.push(sequence) });
    await waitFor(
      () => then.length === 11,
      () => `all come again: ${then.join()}`,
    );
    assert.match(rig.broker.output, /ack to a wrong ack inbox/);
  });

  it('does nothing in the name of one that proves its requests by its connection id', async () => {
    const subject = rig.name('channel');
    const clientId = rig.name('client');
    const { clusterId } = rig.broker;
    const own = await connect({ servers: rig.nats.url, clusterId, clientId });
    const inboxes: string[] = [];
    const attacker = await rig.raw();
    // It listens to what it should not: inboxes for messages are no secret.
    attacker.nats.subscribe('_INBOX.>', { callback: (_, message) => inboxes.push(message.subject) });
    await attacker.nats.flush();
    const messages = await own.subscribe(subject, { durable: 'd' });
    await own.publish(subject, 'x');
    const iterator = messages[Symbol.asyncIterator]();
    await iterator.next();

    await attacker.join('other');
    const subscription = { clientId, subject, ackWaitSeconds: 30, maxInFlight: 1 };
    for (const connId of [Buffer.from(''), Buffer.from('guessed'), Buffer.from('other')]) {
      for (const inbox of new Set(inboxes)) {
        const request = encodeUnsubscribeRequest({ clientId, subject, inbox, connId });
        attacker.nats.publish(attacker.subjects.unsubscribe, request);
      }
      const { error } = await attacker.requestSubscription({ ...subscription, inbox: 'x', connId });
      assert.equal(error, STAN_ERROR.unknownClient);
      const bytes = encodeCloseRequest({ clientId, connId });
      assert.ok(
        String(Buffer.from(await attacker.request(attacker.subjects.close, bytes))).includes(
          STAN_ERROR.unknownClient,
        ),
      );
    }
    const { error } = await attacker.publish({ clientId, subject });
    assert.equal(error, STAN_ERROR.invalidPublishRequest);

    await own.publish(subject, 'y');
    assert.equal((await iterator.next()).value?.string(), 'y');
    await own.close();
  });
});
