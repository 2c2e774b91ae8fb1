import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeliveryOrder } from './delivery-order.js';

/** @returns what is wrong with the last of these arrivals: sequence, lease, connection */
function lastOf(...arrivals: (readonly [number, string, number])[]): string | undefined {
  const order = new DeliveryOrder();
  return arrivals.map((arrival) => order.arrived(...arrival)).at(-1);
}

describe('the order in which a subscriber gets what is new', () => {
  it('is that of the channel on each connection', () => {
    assert.equal(lastOf([1, 'a', 1], [2, 'a', 1], [5, 'a', 1]), undefined);
    assert.match(lastOf([1, 'a', 1], [5, 'a', 1], [4, 'a', 1])!, /4 came as new after 5/);
    assert.match(lastOf([5, 'a', 1], [5, 'a', 1])!, /5 came as new after 5/);
  });

  it('goes on with the next connection: nothing is new twice', () => {
    assert.equal(lastOf([5, 'a', 1], [6, 'a', 2]), undefined);
    assert.match(lastOf([5, 'a', 1], [5, 'a', 2])!, /5 came as new after 5/);
    assert.match(lastOf([9, 'a', 1], [5, 'a', 2])!, /5 came as new after 9/);
    assert.match(lastOf([9, 'a', 1], [10, 'a', 2], [8, 'a', 3])!, /8 came as new after/);
  });

  it('lets what was sent on a former connection come late, and in its order', () => {
    assert.equal(lastOf([5, 'a', 1], [9, 'a', 2], [6, 'a', 1]), undefined);
    assert.match(lastOf([5, 'a', 1], [9, 'a', 2], [7, 'a', 1], [6, 'a', 1])!, /6 came as new after 7/);
    assert.match(
      lastOf([5, 'a', 1], [9, 'a', 2], [9, 'a', 1])!,
      /9 came late and as new, and 9 was sent after/,
    );
    assert.match(lastOf([9, 'a', 2], [12, 'a', 2], [10, 'a', 1])!, /10 came late/);
  });

  it('is of each term by itself: its successor may send again what it sent', () => {
    assert.equal(lastOf([5, 'a', 1], [3, 'b', 2]), undefined);
    assert.equal(lastOf([5, 'a', 1], [3, 'b', 2], [6, 'a', 1]), undefined);
  });
});
