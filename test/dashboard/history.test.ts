import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { History, type Point, quantile, SAMPLE_MS } from '../../src/dashboard/history.js';
import { type Summary, viewRequestOf } from '../../src/monitor/view.js';

const BOUNDS = [0.001, 0.01, 0.1];

function summary(changes: Partial<Summary> = {}): Summary {
  const buckets = { bounds: BOUNDS, counts: [0, 0, 0], count: 0 };
  return {
    serverId: 'a',
    node: 'n',
    messagesIn: 0,
    bytesIn: 0,
    messagesOut: 0,
    bytesOut: 0,
    acks: 0,
    redeliveries: 0,
    refused: 0,
    messages: 0,
    bytes: 0,
    channels: 0,
    clients: 0,
    online: 0,
    offline: 0,
    stalled: 0,
    inFlight: 0,
    maxLag: 0,
    full: null,
    publishAck: buckets,
    delivery: buckets,
    ...changes,
  };
}

function newest(points: readonly Point[]): Point {
  const point = points.at(-1);
  assert.ok(point);
  return point;
}

describe('the hour that a dashboard keeps', () => {
  it('has rates between two samples of one process', () => {
    const history = new History();
    assert.equal(newest(history.add(summary({ messagesIn: 100 }), 10_000)).published, null);
    assert.equal(newest(history.add(summary({ messagesIn: 300 }), 12_000)).published, 100);
  });

  it('has none over a takeover, or while there is no answer', () => {
    const history = new History();
    history.add(summary({ messagesIn: 100 }), 10_000);
    assert.equal(newest(history.add(summary({ serverId: 'b', messagesIn: 5_000 }), 12_000)).published, null);
    const nobody = newest(history.add(undefined, 14_000));
    assert.equal(nobody.messages, null);
    assert.equal(newest(history.add(summary({ serverId: 'b', messagesIn: 6_000 }), 16_000)).published, null);
  });

  it('has none over a pause of its own process', () => {
    const history = new History();
    history.add(summary({ messagesIn: 100 }), 10_000);
    assert.equal(newest(history.add(summary({ messagesIn: 300 }), 30_000)).published, null);
  });

  it('has a gap where its own process stood still, and marks it at the point behind it', () => {
    const history = new History();
    history.add(summary({ messages: 5 }), 10_000);
    history.add(summary({ messages: 6 }), 12_000);
    const told = history.add(summary({ messages: 9 }), 32_000);
    assert.deepEqual(
      told.map(({ time, messages }) => [time, messages]),
      [
        [14, null],
        [32, 9],
      ],
    );
    const { time, messages } = Object.fromEntries(history.columns());
    assert.deepEqual(time, [10, 12, 14, 32]);
    assert.deepEqual(messages, [5, 6, null, 9]);
  });

  it('forgets what is older than an hour', () => {
    const history = new History();
    const samples = 3_600_000 / SAMPLE_MS;
    for (let i = 0; i < samples + 10; i++) history.add(summary(), i * SAMPLE_MS);
    const { time, published } = Object.fromEntries(history.columns());
    assert.equal(time?.length, samples);
    assert.equal(published?.length, samples);
    assert.equal(time?.[0], (10 * SAMPLE_MS) / 1000);
  });
});

describe('a quantile of what came between two looks at a histogram', () => {
  const before = { bounds: BOUNDS, counts: [5, 5, 0], count: 10 };

  it('lies within the bucket that holds it', () => {
    const after = { bounds: BOUNDS, counts: [5, 15, 0], count: 20 };
    assert.ok(Math.abs(quantile(0.5, before, after)! - 0.0055) < 1e-9);
    assert.ok(Math.abs(quantile(1, before, after)! - 0.01) < 1e-9);
  });

  it('is unknown if nothing came, and the last bound if all was larger', () => {
    assert.equal(quantile(0.5, before, before), null);
    assert.equal(quantile(0.5, before, { bounds: BOUNDS, counts: [5, 5, 0], count: 12 }), 0.1);
  });
});

describe('what a dashboard asks', () => {
  const parse = (value: unknown): unknown => viewRequestOf(value);

  it('is taken within bounds', () => {
    assert.deepEqual(
      parse({ kind: 'channels', q: 'x'.repeat(1_000), sort: 'nothing', offset: -1, limit: 1e9 }),
      {
        kind: 'channels',
        q: 'x'.repeat(200),
        sort: 'name',
        order: 'asc',
        offset: 0,
        limit: 200,
      },
    );
    assert.deepEqual(parse({ kind: 'summary', more: 1 }), { kind: 'summary' });
    assert.deepEqual(parse({ kind: 'channel', name: 7 }), { kind: 'channel', name: '7' });
  });

  it('is nothing if it is something else', () => {
    for (const value of [null, 1, 'summary', {}, { kind: 'handover' }, []])
      assert.equal(parse(value), undefined);
  });
});
