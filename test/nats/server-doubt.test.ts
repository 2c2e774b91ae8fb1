import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { type DoubtedConnections, ServerDoubt } from '../../src/nats/server-doubt.js';

const ENDPOINT = {
  server: { name: 'n:4222', host: 'n', port: 4222 },
  address: '10.0.0.1',
} as unknown as DoubtedConnections['endpoint'];

describe('a doubt about a server that answers on neither connection', () => {
  let gaveUp: string[];
  let answerControl: () => void;
  let answerDial: () => void;
  let failDial: () => void;
  let hasOthers: boolean;
  let connections: DoubtedConnections;
  let raised: Promise<void>;

  beforeEach(() => {
    gaveUp = [];
    hasOthers = false;
    connections = {
      endpoint: ENDPOINT,
      control: {
        flush: () =>
          new Promise((resolve) => {
            answerControl = resolve;
          }),
      },
      dialLink: () =>
        new Promise((resolve, reject) => {
          answerDial = () => resolve({ close: () => {} });
          failDial = () => reject(new Error('no answer'));
        }),
    };
    const doubt = new ServerDoubt(
      connections,
      () => hasOthers,
      (why) => gaveUp.push(why),
    );
    raised = doubt.raise();
  });

  it('gives both up if it answers on a third one', async () => {
    answerDial();
    await raised;
    assert.deepEqual(gaveUp, ['it answers on a new connection, and no more on these']);
  });

  it('keeps both if the server was paused, and answers on the old ones too', async () => {
    answerControl();
    await settled();
    answerDial();
    await raised;
    assert.deepEqual(gaveUp, []);
  });

  it('keeps both if it answers nowhere and is the only one, and gives them up if there is another', async () => {
    failDial();
    await raised;
    assert.deepEqual(gaveUp, []);
    hasOthers = true;
    const again = new ServerDoubt(
      connections,
      () => hasOthers,
      (why) => gaveUp.push(why),
    ).raise();
    failDial();
    await again;
    assert.deepEqual(gaveUp, ['it answers on no connection, old or new']);
  });
});
