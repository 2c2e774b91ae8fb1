import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Turn } from '../../../src/broker/delivery/turn.js';
import type { OutBuffer } from '../../../src/link/writer.js';
import { BrokenInvariant } from '../../../src/util/assert.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { RecordingLink } from '../in-memory.js';

/** A link that notes what came by one write. */
class WriteLink extends RecordingLink {
  readonly writes: string[] = [];

  override send(out: OutBuffer): void {
    const before = this.sent.length;
    super.send(out);
    this.writes.push(
      this.sent
        .slice(before)
        .map(({ subject }) => subject)
        .join(' '),
    );
  }
}

describe('a turn of the broker', () => {
  let clock: ManualClock;
  let link: WriteLink;
  let turn: Turn;
  let atEnd: () => void;
  let thrown: unknown[];

  beforeEach(() => {
    clock = new ManualClock();
    link = new WriteLink();
    atEnd = () => {};
    thrown = [];
    turn = new Turn({ clock, atEnd: () => atEnd(), onBroken: (error) => thrown.push(error) });
    turn.linkUp(link);
  });

  function write(subject: string): void {
    writeTo(turn.out, subject);
  }

  it('sends all that was written in it by one write, with the work of its end', () => {
    atEnd = () => write('end');
    turn.run(() => {
      write('a');
      write('b');
      assert.deepEqual(link.writes, []);
    });
    assert.deepEqual(link.writes, ['a b end']);
  });

  it('keeps no buffer beyond its end, though nothing was written', () => {
    const taken: (OutBuffer | undefined)[] = [];
    for (let i = 0; i < 2; i++) turn.run(() => taken.push(turn.out));
    assert.notEqual(taken[0], taken[1]);
    assert.deepEqual(link.writes, []);
  });

  it('sends what the messages of a read led to when the read ends', () => {
    turn.read();
    write('a');
    turn.read();
    write('b');
    turn.run(() => write('c'));
    assert.deepEqual(link.writes, ['a b c']);
  });

  it('has its own time, and a turn within it a later one', () => {
    const times: number[] = [];
    turn.run(() => {
      times.push(turn.nowMs);
      clock.advance(7);
      times.push(turn.nowMs);
      turn.run(() => times.push(turn.nowMs));
    });
    const [first = 0] = times;
    assert.deepEqual(times, [first, first, first + 7]);
  });

  it('takes a turn within it for a part of itself: one write, one end', () => {
    let ends = 0;
    atEnd = () => ends++;
    turn.run(() => {
      write('a');
      turn.run(() => write('b'));
      assert.deepEqual(link.writes, []);
      write('c');
    });
    assert.deepEqual(link.writes, ['a b c']);
    assert.equal(ends, 1);
  });

  it('sends nothing if its work throws, and says what was thrown', () => {
    turn.run(() => {
      write('a');
      throw new Error('it fails');
    });
    assert.deepEqual(thrown, [new Error('it fails')]);
    assert.deepEqual(link.writes, []);
    turn.run(() => write('b'));
    assert.deepEqual(link.writes, ['b']);
  });

  it('copies few answers behind its messages, and sends many by a write of their own', () => {
    const few = link.takeBuffer();
    writeTo(few, 'few');
    const many = link.takeBuffer();
    for (let i = 0; i < 2000; i++) writeTo(many, 'many');
    turn.run(() => {
      write('a');
      turn.answer(few, false);
      assert.deepEqual(link.writes, ['']);
      turn.answer(many, false);
    });
    assert.deepEqual(
      link.writes.map((subjects) => subjects.slice(0, 6)),
      ['', 'a few', 'many m'],
    );
  });

  it('drops what waits to be sent with the link', () => {
    turn.run(() => {
      write('a');
      turn.linkDown();
      assert.equal(turn.out, undefined);
    });
    turn.linkUp(link);
    turn.run(() => write('b'));
    assert.deepEqual(link.writes, ['b']);
  });

  it('is needed for output: outside of one nothing would send it', () => {
    assert.throws(() => write('a'), BrokenInvariant);
    turn.run(() => {});
    assert.throws(() => write('a'), BrokenInvariant);
    turn.read();
    write('a');
    turn.linkDown();
    turn.linkUp(link);
    assert.throws(() => write('a'), BrokenInvariant);
  });
});

function writeTo(out: OutBuffer | undefined, subject: string): void {
  assert.ok(out);
  const name = Buffer.from(subject);
  out.pub(name, 0, name.length, 0);
  out.crlf();
}
