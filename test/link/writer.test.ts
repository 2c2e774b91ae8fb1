import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OutBuffer, pubPrefix } from '../../src/link/writer.js';

const text = (out: OutBuffer) => out.buf.toString('latin1', 0, out.length);

describe('the out buffer', () => {
  it('holds PUB lines one behind the other', () => {
    const out = new OutBuffer();
    const source = Buffer.from('..subject.a..payload..');
    out.pub(source, 2, 11, 7);
    out.bytes(source, 13, 20);
    out.crlf();
    out.pubTo(pubPrefix('b'), 0);
    out.crlf();
    out.ascii('PING');
    out.crlf();
    assert.equal(text(out), 'PUB subject.a 7\r\npayload\r\nPUB b 0\r\n\r\nPING\r\n');
  });

  it('writes any subject, payload and size, however far it has to grow', () => {
    const size = fc.oneof(fc.nat(10), fc.integer({ min: 20, max: 60 }), fc.nat(70_000));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 80 }), size, fc.boolean()), { maxLength: 20 }),
        (messages) => {
          const out = new OutBuffer();
          let expected = '';
          for (const [subjectBytes, payloadBytes, withPrefix] of messages) {
            const subject = 's'.repeat(subjectBytes);
            const payload = Buffer.alloc(payloadBytes, 'p');
            if (withPrefix) out.pubTo(pubPrefix(subject), payloadBytes);
            else out.pub(Buffer.from(`x${subject}y`), 1, 1 + subjectBytes, payloadBytes);
            out.bytes(payload, 0, payloadBytes);
            out.crlf();
            expected += `PUB ${subject} ${payloadBytes}\r\n${payload}\r\n`;
          }
          assert.equal(text(out), expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('writes sizes of every number of digits', () => {
    const out = new OutBuffer();
    const prefix = pubPrefix('a');
    for (const size of [0, 9, 10, 99, 100, 12_345, 1_048_576]) {
      out.reset();
      out.pubTo(prefix, size);
      assert.equal(text(out), `PUB a ${size}\r\n`);
    }
  });
});
