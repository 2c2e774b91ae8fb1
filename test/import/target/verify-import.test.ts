import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ImportDifference,
  type VerifyImportReport,
  verifyImport,
} from '../../../src/import/target/verify-import.js';
import type { ImportSource, SourceClient, SourceSubscription } from '../../../src/import/types/source.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { DIR, LeasedTerm } from '../../store/leased-store.js';
import { SimFs } from '../../store/sim-fs.js';
import { client, type MadeUpMessage, MadeUpSource, messages, subscription } from '../made-up-source.js';
import { clock, importFrom } from './import-support.js';

interface Given {
  all?: MadeUpMessage[];
  last?: number;
  subscriptions?: SourceSubscription[];
  clients?: SourceClient[];
}

function sourceOf({
  all = [...messages(3, 9000)],
  last = 9000,
  subscriptions = [],
  clients = [],
}: Given): MadeUpSource {
  const firstSequence = all[0]?.sequence ?? last + 1;
  return new MadeUpSource(
    [{ name: 'a', firstSequence, lastSequence: last, messages: all, subscriptions }],
    clients,
  );
}

async function compare(fs: SimFs, source: ImportSource): Promise<[VerifyImportReport, string[]]> {
  const differences: ImportDifference[] = [];
  const report = await verifyImport({
    ...{ fs, clock, dir: DIR, source, state: await source.open() },
    onDifference: (difference) => differences.push(difference),
  });
  assert.equal(report.differences, differences.length);
  return [report, differences.map(({ kind, channel, text }) => `${kind} ${channel ?? ''}: ${text}`)];
}

const DURABLE = subscription({ durableName: 'd', isDurable: true, lastSent: 20, pending: [4, 5, 9] });
const MEMBER = subscription({ clientId: 'you', queueGroup: 'q', lastSent: 7, inbox: '_INBOX.you' });

describe('the comparison of a store with what it was imported from', () => {
  it('finds nothing if all of it is there', async () => {
    const fs = new SimFs();
    const all = [...messages(3, 5000), ...messages(5010, 9000)];
    const given = {
      all,
      last: 9005,
      subscriptions: [DURABLE, MEMBER],
      clients: [client('me'), client('you')],
    };
    await importFrom(fs, sourceOf(given));
    const [{ storeId: _, ...report }, differences] = await compare(fs, sourceOf(given));
    assert.deepEqual(differences, []);
    const counts = { channels: 1, messages: all.length, clients: 2, subscriptions: 2, differences: 0 };
    assert.deepEqual(report, { clusterId: 'test-cluster', ...counts, leftOut: [] });
  });

  it('finds nothing where an import has left out what cannot be served, and names that', async () => {
    const fs = new SimFs();
    const given = {
      last: 9000,
      subscriptions: [
        DURABLE,
        { ...MEMBER, pending: [4] },
        subscription({ clientId: 'me', queueGroup: 'q', pending: [6], lastSent: 9010 }),
        subscription({ clientId: 'you', inbox: '_INBOX.two', maxInFlight: 0, ackWaitSeconds: 0 }),
      ],
      clients: [{ ...client('me'), heartbeatInbox: 'no subject' }, client('you')],
    };
    const { leftOut } = await importFrom(fs, sourceOf(given));
    const [report, differences] = await compare(fs, sourceOf(given));
    assert.deepEqual(differences, []);
    assert.deepEqual(report.leftOut, leftOut);
    assert.equal(leftOut.length, 3);
  });

  it('names each message that differs, and what differs', async () => {
    const fs = new SimFs();
    await importFrom(fs, sourceOf({}));
    const other = [...messages(3, 9000)];
    other[0] = { ...other[0]!, data: Buffer.from('other') };
    other[10] = { ...other[10]!, timestampNs: 7n };
    other[20] = { ...other[20]!, reply: 'reply' };
    const [, differences] = await compare(fs, sourceOf({ all: other }));
    assert.deepEqual(differences, [
      'message a: message 3 differs in payload (5 bytes in the source, 9 in the store)',
      'message a: message 13 differs in timestamp (7 ns in the source, 1600000000013001606 in the store)',
      'message a: message 23 differs in reply subject',
    ]);
  });

  it('names what only one of the two has', async () => {
    const fs = new SimFs();
    await importFrom(fs, sourceOf({ all: [...messages(3, 100), ...messages(201, 9000)] }));
    const [, differences] = await compare(
      fs,
      sourceOf({ all: [...messages(1, 4999), ...messages(5001, 9002)], last: 9002 }),
    );
    assert.deepEqual(differences, [
      'message a: messages 1 to 2 are in the source, and not in the store',
      'message a: messages 101 to 200 are in the source, and not in the store',
      'message a: message 5000 is in the store, and not in the source',
      'message a: messages 9001 to 9002 are in the source, and not in the store',
      'channel a: its last sequence is 9000 in the store, 9002 in the source',
    ]);
  });

  it('names each position that differs', async () => {
    const fs = new SimFs();
    await importFrom(
      fs,
      sourceOf({ subscriptions: [DURABLE, MEMBER], clients: [client('me'), client('you')] }),
    );
    const [, differences] = await compare(
      fs,
      sourceOf({
        subscriptions: [
          { ...DURABLE, lastSent: 21, pending: [5, 10, 11] },
          subscription({ clientId: 'they' }),
        ],
        clients: [{ ...client('me'), connId: Buffer.from('x') }, client('they')],
      }),
    );
    assert.deepEqual(differences, [
      'client : client me: connId',
      'client : client they: it is not in the store',
      'client : client you: it is in the store, and not in the source',
      'subscription a: durable d of client me: lastSent (21 in the source, 20 in the store), messages 10 to 11 not acknowledged in the source, and done in the store, ' +
        'messages 4, 9 not acknowledged in the store, and done in the source',
      'subscription a: subscription of client they (inbox _INBOX.inbox): it is not in the store',
      'subscription a: queue group q: it is in the store, and not in the source',
      'subscription a: member of queue group q of client you (inbox _INBOX.you): it is in the store, and not in the source',
    ]);
  });

  it('names channels that only one of the two has', async () => {
    const fs = new SimFs();
    await importFrom(fs, sourceOf({}));
    const other = new MadeUpSource([{ name: 'b', firstSequence: 1, lastSequence: 0, messages: [] }]);
    const [, differences] = await compare(fs, other);
    assert.deepEqual(differences, [
      'channel b: it is in the source, and not in the store',
      'channel a: it is in the store, and not in the source',
    ]);
  });

  it('sees what a broker has stored since', async () => {
    const fs = new SimFs();
    await importFrom(fs, sourceOf({ all: [...messages(1, 5)], last: 5 }));
    const term = await LeasedTerm.begin(fs);
    await term.publish('a', ['new']);
    await term.end();
    const [, differences] = await compare(fs, sourceOf({ all: [...messages(1, 5)], last: 5 }));
    assert.deepEqual(differences, [
      'message a: message 6 is in the store, and not in the source',
      'channel a: its last sequence is 6 in the store, 5 in the source',
    ]);
  });

  it('ends with the error of the source', async () => {
    const fs = new SimFs();
    await importFrom(fs, sourceOf({}));
    const failing = sourceOf({});
    failing.onMessage = ({ sequence }) => {
      if (sequence === 8000) throw new SourceError('damaged', 'byte 17 is wrong');
    };
    await assert.rejects(compare(fs, failing), { code: 'damaged', message: 'byte 17 is wrong' });
  });
});
