import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Sender } from '../../src/link/sender.js';

const MIB = 1024 * 1024;

/** A socket that takes nothing before `take`. */
class SlowSocket {
  readonly #waiting: (() => void)[] = [];

  cork(): void {}
  uncork(): void {}

  write(_bytes: Buffer, onWritten: () => void): boolean {
    this.#waiting.push(onWritten);
    return false;
  }

  take(): void {
    for (const onWritten of this.#waiting.splice(0)) onWritten();
  }
}

describe('the sender', () => {
  it('makes no new buffers while eight mebibytes are under way at a time, and lets them go when they are not needed', async () => {
    const socket = new SlowSocket();
    const sender = new Sender(socket as unknown as Socket, () => {});
    const seen = new Set<unknown>();
    const round = async (bytes: number): Promise<void> => {
      while (sender.backlogBytes < bytes) {
        const out = sender.take();
        seen.add(out.buf);
        out.reserve(MIB / 4);
        seen.add(out.buf);
        out.length = MIB / 4;
        sender.send(out);
      }
      await nextTurn();
      socket.take();
    };
    await round(8 * MIB);
    const first = seen.size;
    for (let i = 0; i < 20; i++) await round(8 * MIB);
    assert.equal(seen.size, first, 'the buffers of the first round are enough');

    sender.trim();
    sender.trim();
    await round(MIB / 2);
    assert.equal(seen.size, first, 'some are kept');
    await round(MIB);
    assert.ok(seen.size > first, 'and no more than that');
  });

  it('puts the lines of many small outputs of one turn together, in their order', async () => {
    const written: string[] = [];
    const socket = {
      cork() {},
      uncork() {},
      write(bytes: Buffer, onWritten: () => void) {
        written.push(bytes.toString('latin1'));
        setImmediate(onWritten);
        return true;
      },
    };
    const sender = new Sender(socket as unknown as Socket, () => {});
    let expected = '';
    let buffers = 0;
    let last: unknown;
    for (let i = 0; i < 20_000; i++) {
      const out = sender.take();
      if (out !== last) buffers++;
      last = out;
      const line = `PUB inbox.${i} 0\r\n\r\n`;
      expected += line;
      out.ascii(line);
      sender.send(out);
    }
    await nextTurn();
    await nextTurn();
    assert.equal(written.join(''), expected);
    assert.ok(written.length < 20, `${written.length} buffers of 64 KiB for ${expected.length} bytes`);
    assert.ok(buffers < 40);
    assert.equal(sender.backlogBytes, 0);
    assert.equal(sender.takenBytes, expected.length);
  });
});
