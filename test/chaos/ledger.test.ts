import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Story } from './chaos-log.js';
import { END, Ledger, payloadOf, type Sent, type Shown } from './ledger.js';

describe('the ledger of a chaos run', () => {
  let dir: string;
  let story: Story;
  let ledger: Ledger;
  let nowMs: number;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-ledger-'));
    story = new Story(dir, false);
    ledger = new Ledger(story);
    nowMs = Date.now() - 60_000;
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  function acked(id: string): Sent {
    const sent = ledger.send(id, 'a');
    ledger.ack(sent);
    return sent;
  }

  const shown = (sequence: number, id: string): Shown => ({
    sequence,
    data: id === END ? END : payloadOf(id),
    timestampMs: nowMs++,
  });

  function violations(stored: readonly Shown[]): string {
    ledger.check(new Map([['a', stored]]));
    return story.violations.join('\n');
  }

  it('finds nothing wrong where nothing is', () => {
    acked('x-1');
    ledger.send('x-2', 'a');
    const stored = [shown(1, 'x-1'), shown(2, 'x-2'), shown(3, END)];
    for (const message of stored) ledger.see('a', message, 'somebody');
    assert.equal(violations(stored), '');
  });

  it('notices what is lost, stored twice, or has a hole before it', () => {
    for (const id of ['x-1', 'x-2', 'x-3']) acked(id);
    assert.match(violations([shown(1, 'x-1')]), /LOST: x-2 of a, acknowledged/);
    assert.match(violations([shown(1, 'x-1'), shown(2, 'x-1')]), /x-1 is stored twice in a: 1 and 2/);
    assert.match(violations([shown(1, 'x-1'), shown(3, 'x-3')]), /a has sequence 3 where 2 should be/);
  });

  it('notices a sequence that means two messages, and a message that was never sent', () => {
    acked('x-1');
    acked('x-2');
    ledger.see('a', shown(1, 'x-1'), 'one');
    ledger.see('a', shown(1, 'x-2'), 'another');
    assert.match(story.violations[0]!, /sequence 1 of a is 1 \(x-1, .*\) and, to another, 1 \(x-2/);
    ledger.see('a', { ...shown(2, 'x-2'), data: `${payloadOf('x-2')}!` }, 'one');
    assert.match(story.violations[1]!, /what nobody has sent/);
    ledger.see('b', shown(1, 'x-1'), 'one');
    assert.match(story.violations[2]!, /one was shown as 1 of b what nobody has sent/);
  });

  it('notices what was shown and is not stored', () => {
    ledger.send('x-1', 'a');
    ledger.see('a', shown(2, 'x-1'), 'one');
    assert.match(violations([]), /a lacks 2 \(x-1, .*\), which was shown/);
  });

  it('notices time that goes back', () => {
    const [first, second] = [shown(1, 'x-1'), shown(2, 'x-2')];
    assert.match(violations([{ ...first, timestampMs: second.timestampMs + 1 }, second]), /time goes back/);
  });

  it('notices what was stored before an earlier one that had its ack', () => {
    const [first, second] = [acked('x-1'), acked('x-2')];
    Object.assign(first, { sentMs: nowMs, ackedMs: nowMs + 1 });
    Object.assign(second, { sentMs: nowMs + 2 });
    const wrong = /a has x-2 before x-1, whose ack came before that was sent/;
    assert.match(violations([shown(1, 'x-2'), shown(2, 'x-1')]), wrong);
  });

  it('notices an ack before the message was stored for good', () => {
    const sent = acked('x-1');
    const late = { ...shown(1, 'x-1'), timestampMs: sent.ackedMs! + 100 };
    assert.match(violations([late]), /x-1 of a was stored 100 ms after it was acknowledged/);
  });
});
