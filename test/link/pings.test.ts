import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Pings } from '../../src/link/pings.js';
import { ManualClock } from '../clock/manual-clock.js';

const MIB = 1024 * 1024;

describe('the pings of a link', () => {
  it('owe the time for a large message also when the server has read it: it may be writing it to a subscriber', () => {
    const pings = new Pings(new ManualClock());
    pings.sent(0, undefined);
    pings.sent(60 * MIB, undefined);
    pings.answered();
    assert.equal(pings.owedBytes, 60 * MIB, 'it has to read it first');
    pings.answered();
    assert.equal(pings.owedBytes, 0, 'nothing waits');
    pings.sent(60 * MIB + 6, undefined);
    assert.equal(pings.owedBytes, 60 * MIB + 6);
    pings.answered();
    pings.sent(60 * MIB + 12, undefined);
    assert.equal(pings.owedBytes, 12, 'it goes on reading, so it has handed it on');
  });
});
