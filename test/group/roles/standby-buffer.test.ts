import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { StandbyBuffer } from '../../../src/group/roles/standby-buffer.js';
import type { TransportLink } from '../../../src/group/talk/nats-transport.js';
import type { LinkHandler } from '../../../src/link/link-handler.js';
import { ManualClock } from '../../clock/manual-clock.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What a handler was given. */
class Heard implements LinkHandler {
  readonly messages: string[] = [];
  batches = 0;

  onMessage(
    ...[sid, buffer, from, to, reply, replyEnd, payload, end]: Parameters<LinkHandler['onMessage']>
  ): void {
    const text = (start: number, stop: number): string => buffer.toString('latin1', start, stop);
    this.messages.push(`${sid} ${text(from, to)} ${text(reply, replyEnd)} ${text(payload, end)}`);
  }

  onBatchEnd(): void {
    this.batches++;
  }
}

describe('the standby buffer', () => {
  const clock = new ManualClock();
  let buffer: StandbyBuffer;
  let heard: Heard;
  beforeEach(() => {
    const link = { handOverTo() {}, subscribe: () => 1, unsubscribe() {}, flush: async () => {} };
    buffer = new StandbyBuffer(link as unknown as TransportLink, ['a'], clock);
    heard = new Heard();
  });

  /** From memory that is used again at once, as the link's is. */
  function hear(subject: string, reply: string, payload: string): void {
    const bytes = Buffer.from(`MSG ${subject} 7 ${reply} ${payload.length}\r\n${payload}\r\n`);
    const subjectStart = 4;
    const replyStart = subjectStart + subject.length + 3;
    const payloadStart = bytes.indexOf('\n') + 1;
    buffer.onMessage(
      ...([7, bytes, subjectStart, subjectStart + subject.length] as const),
      ...([replyStart, replyStart + reply.length, payloadStart, payloadStart + payload.length] as const),
    );
    bytes.fill(0);
  }

  it('gives what it has kept, of any size and in order, as one batch, and keeps none of it', () => {
    const expected: string[] = [];
    for (let i = 0; i < 3_000; i++) {
      const payload = String(i).padEnd(i % 500 === 0 ? 300_000 : i % 400, 'x');
      const reply = i % 3 === 0 ? '' : `r.${i}`;
      hear(`s.${i}`, reply, payload);
      expected.push(`7 s.${i} ${reply} ${payload}`);
    }
    assert.equal(buffer.replay(heard), expected.length);
    assert.deepEqual(heard.messages, expected);
    assert.equal(heard.batches, 1);
    assert.equal(buffer.replay(heard), 0);
  });

  it('forgets what is older than 10 s, and the oldest beyond 32 MiB', () => {
    hear('old', 'r', 'x');
    clock.advance(10_001);
    for (let i = 0; i < 40; i++) hear(`s${i}`, 'r', 'x'.repeat(1024 * 1024));
    buffer.replay(heard);
    assert.deepEqual(
      heard.messages.map((message) => message.split(' ')[1]),
      Array.from({ length: 31 }, (_, i) => `s${i + 9}`),
    );
  });

  it('holds no memory of what it has forgotten', () => {
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 150; i++) hear(`s${i}`, 'r', 'x'.repeat(1024 * 1024));
    // What the first one finds, the second one frees.
    collectGarbage();
    collectGarbage();
    const heldMib = (process.memoryUsage().arrayBuffers - before) / 1024 / 1024;
    assert.ok(heldMib < 40, `${heldMib} MiB`);
    assert.equal(buffer.replay(heard), 31);
  });
});
