import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Sender } from '../../src/link/sender.js';

describe('the sender', () => {
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
