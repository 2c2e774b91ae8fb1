import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { InFlight } from '../../../src/broker/state/in-flight.js';
import { Progress } from '../../../src/store/types/progress.js';
import { toRanges } from '../../../src/util/ranges.js';

describe('the in-flight window', () => {
  it('behaves like a map that remembers the order in which ack waits end', () => {
    const step = fc.record({
      op: fc.constantFrom('add', 'ack', 'renew', 'ackHead'),
      // Neighbours, strides and far-away values: what collides in the table, and what does not.
      sequence: fc.oneof(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 20 }).map((n) => n * 32),
        fc.integer({ min: 0, max: 5 }).map((n) => 2 ** 40 + n * 1024),
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const window = new InFlight();
        const model = new Map<number, { deadlineMs: number; redeliveries: number }>();
        let nowMs = 0;
        for (const { op, sequence } of steps) {
          nowMs++;
          if (op === 'add' && !model.has(sequence)) {
            window.add(sequence, nowMs, 0);
            model.set(sequence, { deadlineMs: nowMs, redeliveries: 0 });
          } else if (op === 'ack') {
            assert.equal(window.remove(sequence), model.delete(sequence));
          } else if (op === 'renew' && model.has(sequence)) {
            const redeliveries = window.redeliveries(sequence) + 1;
            window.renew(sequence, nowMs, redeliveries);
            model.delete(sequence);
            model.set(sequence, { deadlineMs: nowMs, redeliveries });
          } else if (op === 'ackHead' && model.size > 0) {
            const head = window.headSequence;
            assert.ok(window.remove(head));
            model.delete(head);
          }
          const first = model.entries().next().value;
          assert.equal(window.size, model.size);
          assert.equal(window.headSequence, first?.[0] ?? 0);
          assert.equal(window.headDeadlineMs, first?.[1].deadlineMs ?? Number.POSITIVE_INFINITY);
          assert.equal(window.has(sequence), model.has(sequence));
          assert.equal(window.redeliveries(sequence), model.get(sequence)?.redeliveries ?? 0);
        }
        assert.deepEqual(
          window.sorted(),
          [...model.keys()].sort((a, b) => a - b),
        );
      }),
    );
  });

  it('lets everything expire in the order of the sequences when a durable comes back', () => {
    const window = new InFlight();
    for (const sequence of [7, 3, 9, 1]) window.add(sequence, 1000 + sequence, 0);
    window.expireAll(50);
    const order: number[] = [];
    while (window.size > 0) {
      assert.equal(window.headDeadlineMs, 50);
      order.push(window.headSequence);
      window.remove(window.headSequence);
    }
    assert.deepEqual(order, [1, 3, 7, 9]);
  });
});

describe('progress', () => {
  it('keeps in-order deliveries and acks as one range each', () => {
    const progress = new Progress(7, false);
    for (let sequence = 5; sequence <= 900; sequence++) progress.addDelivered(sequence);
    for (let sequence = 5; sequence <= 400; sequence++) progress.addAcked(sequence);
    assert.deepEqual(progress.delivered, [5, 900]);
    assert.deepEqual(progress.acked, [5, 400]);
    progress.clear();
    assert.ok(progress.isEmpty);
  });

  it('turns any ascending sequences into ranges that hold exactly them', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 200 })), (sequences) => {
        const ascending = sequences.sort((a, b) => a - b);
        const ranges = toRanges(ascending);
        const held: number[] = [];
        for (let i = 0; i < ranges.length; i += 2) {
          for (let sequence = ranges[i]!; sequence <= ranges[i + 1]!; sequence++) held.push(sequence);
        }
        assert.deepEqual(held, ascending);
      }),
    );
  });
});
