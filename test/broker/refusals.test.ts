import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import {
  decodePubAck,
  decodeSubscriptionResponse,
  encodeCloseRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
} from '../../src/protocol/messages.js';
import { InMemoryBroker } from './in-memory.js';

const subject = 'foo';
const clientId = 'a';
const close = encodeCloseRequest({ clientId });
const connId = Buffer.from(`conn-${clientId}`);

function durable(inbox: string): Uint8Array {
  return encodeSubscriptionRequest({
    ...{ clientId, subject, inbox, durableName: 'd' },
    ...{ maxInFlight: 1, ackWaitSeconds: 30 },
  });
}

/** Hands requests to the broker in one batch. @returns answers, in the order in which they go out */
function hand(world: InMemoryBroker, requests: readonly [subject: string, payload: Uint8Array][]) {
  const { broker, link } = world;
  const from = link.sent.length;
  for (const [to, payload] of requests) {
    const buffer = Buffer.concat([Buffer.from('reply'), payload]);
    broker.onMessage(link.sidOf(to), buffer, 0, 0, 0, 5, 5, buffer.length);
  }
  broker.onBatchEnd();
  return () => link.sent.slice(from).filter((sent) => sent.subject === 'reply');
}

describe('a refusal that follows from what is not durable yet', () => {
  // What is told of it is true for this broker only, should another one have taken over.
  const cases: Record<string, { requests: [string, Uint8Array][]; errors: string[] }> = {
    'the second end of a subscription': {
      requests: [
        ['_STAN.subclose.c', encodeUnsubscribeRequest({ clientId, subject, inbox: '_INBOX.in.a' })],
        ['_STAN.subclose.c', encodeUnsubscribeRequest({ clientId, subject, inbox: '_INBOX.in.a' })],
      ],
      errors: ['', STAN_ERROR.invalidSubscription],
    },
    'a durable in use': {
      requests: [
        ['_STAN.sub.c', durable('_INBOX.1')],
        ['_STAN.sub.c', durable('_INBOX.2')],
      ],
      errors: ['', STAN_ERROR.duplicateDurable],
    },
    'a close, a subscription and a ping of a client that has closed': {
      requests: [
        ['_STAN.close.c', close],
        ['_STAN.close.c', close],
        ['_STAN.sub.c', durable('_INBOX.1')],
        ['_STAN.discover.c.pings', encodePing({ connId })],
      ],
      errors: ['', STAN_ERROR.unknownClient, STAN_ERROR.unknownClient, STAN_ERROR.pingUnknownConnection],
    },
  };
  for (const [what, { requests, errors }] of Object.entries(cases)) {
    it(`waits: ${what}`, async () => {
      const world = await InMemoryBroker.start();
      await world.connect(clientId);
      await world.subscribe({ clientId, subject, inbox: '_INBOX.in.a' });
      const answers = hand(world, requests);
      assert.equal(answers().length, 0);
      await new Promise((resolve) => setImmediate(resolve));
      // The error is field 1 or 2 of the answers, and their only text but for the ack inbox.
      for (const [i, { payload }] of answers().entries())
        assert.ok(payload.toString().includes(errors[i]!), `${payload} has "${errors[i]}"`);
      assert.equal(answers().length, errors.length);
    });
  }

  it('waits: a publish of a client that has closed', async () => {
    const world = await InMemoryBroker.start();
    await world.connect(clientId);
    const publish = encodePubMsg({ clientId, connId, guid: 'g', subject, data: Buffer.from('x') });
    const answers = hand(world, [
      ['_STAN.close.c', close],
      ['_STAN.pub.c.foo', publish],
    ]);
    assert.equal(answers().length, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(decodePubAck(answers()[1]!.payload).error, STAN_ERROR.invalidPublishRequest);
  });

  it('does not wait once all is durable', async () => {
    const world = await InMemoryBroker.start();
    await world.connect(clientId);
    const request = encodeUnsubscribeRequest({ clientId, subject: 'unknown', inbox: '_INBOX.in.a' });
    const answers = hand(world, [['_STAN.subclose.c', request]]);
    assert.equal(decodeSubscriptionResponse(answers()[0]!.payload).error, STAN_ERROR.unknownChannel);
  });
});
