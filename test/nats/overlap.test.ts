import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LinkHandler } from '../../src/link/link-handler.js';
import { Overlap } from '../../src/nats/overlap.js';

const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

/** Brings a message as a link does: somewhere in its buffer. */
function bring(to: LinkHandler, text: string, at: number): void {
  const line = `pub.${text.split(' ')[0]} 1 reply.${text.length} ${text.length}\r\n`;
  const buffer = Buffer.concat([Buffer.alloc(at), Buffer.from(line + text)]);
  const replyStart = at + line.indexOf('reply');
  const replyEnd = line.lastIndexOf(' ') + at;
  to.onMessage(1, buffer, at, at + line.indexOf(' '), replyStart, replyEnd, at + line.length, buffer.length);
}

class Heard implements LinkHandler {
  readonly texts: string[] = [];

  onMessage(_sid: number, buffer: Buffer, ...[, , , , payloadStart, payloadEnd]: number[]): void {
    this.texts.push(buffer.toString('latin1', payloadStart, payloadEnd));
  }

  onBatchEnd(): void {}
}

describe('two links, of which one replaces the other', () => {
  it('bring each message once, and those of a sender in order, whenever each of them hears', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const next = random(seed);
      const whole = (below: number) => Math.floor(next() * below);
      const heard = new Heard();
      const overlap = new Overlap(heard);
      // Each sender's server stops to send to the old link, and begins to send to the new one before that.
      const senders = Array.from({ length: 4 }, (_, sender) => {
        const texts = Array.from({ length: 30 }, (_, i) => `${sender} ${i}`);
        const newFrom = whole(15);
        const oldTo = newFrom + whole(15);
        return { texts, old: texts.slice(0, oldTo), new: texts.slice(newFrom) };
      });
      const oldQueues = senders.map(({ old }) => [...old]);
      const newQueues = senders.map((sender) => [...sender.new]);
      const takeOne = (queues: string[][], to: LinkHandler): void => {
        const waiting = queues.filter((queue) => queue.length > 0);
        const text = waiting[whole(waiting.length)]?.shift();
        if (text !== undefined) bring(to, text, whole(20));
      };
      while (oldQueues.flat().length > 0) {
        if (next() < 0.5) takeOne(oldQueues, overlap.fromOld);
        else takeOne(newQueues, overlap.fromNew);
      }
      overlap.end();
      while (newQueues.flat().length > 0) takeOne(newQueues, overlap.fromNew);
      for (const [sender, { texts }] of senders.entries()) {
        const own = heard.texts.filter((text) => text.startsWith(`${sender} `));
        assert.deepEqual(own, texts, `seed ${seed}, sender ${sender}`);
      }
    }
  });

  it('hold back what the new one alone has brought, until the old one is over', () => {
    const heard = new Heard();
    const overlap = new Overlap(heard);
    bring(overlap.fromNew, 'a 1', 0);
    bring(overlap.fromOld, 'b 1', 3);
    assert.deepEqual(heard.texts, ['b 1']);
    overlap.end();
    assert.deepEqual(heard.texts, ['b 1', 'a 1']);
    bring(overlap.fromNew, 'b 1', 0);
    bring(overlap.fromNew, 'b 1', 0);
    assert.deepEqual(heard.texts, ['b 1', 'a 1', 'b 1']);
  });

  it('bring all to the handler that is in turn, also what was held back for the one before', () => {
    const before = new Heard();
    const after = new Heard();
    const overlap = new Overlap(before);
    bring(overlap.fromOld, 'a 1', 0);
    bring(overlap.fromNew, 'b 1', 0);
    overlap.handOverTo(after);
    bring(overlap.fromOld, 'a 2', 0);
    overlap.end();
    bring(overlap.fromNew, 'b 2', 0);
    assert.deepEqual(before.texts, ['a 1']);
    assert.deepEqual(after.texts, ['a 2', 'b 1', 'b 2']);
  });
});
