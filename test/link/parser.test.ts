import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LinkProtocolError, MAX_CONTROL_LINE_BYTES, Parser } from '../../src/link/parser.js';
import { ReadBuffer } from '../../src/link/read-buffer.js';

/** Feeds a parser as the link does, and notes what it hands over as text. */
class Reading {
  readonly seen: string[] = [];
  readonly read = new ReadBuffer();
  readonly parser = new Parser(
    {
      onMessage: (sid, buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd) => {
        const word = (start: number, end: number) => buffer.toString('latin1', start, end);
        const payload =
          payloadEnd - payloadStart > 100
            ? `${payloadEnd - payloadStart} bytes`
            : word(payloadStart, payloadEnd);
        this.seen.push(
          `${sid} ${word(subjectStart, subjectEnd)} ${word(replyStart, replyEnd) || '-'} ${payload}`,
        );
      },
      onBatchEnd: () => {},
    },
    {
      onPing: () => this.seen.push('ping'),
      onPong: () => this.seen.push('pong'),
      onInfo: (json) => this.seen.push(`info ${json}`),
      onServerError: (text) => this.seen.push(`error ${text}`),
      onOversize: (bytes) => this.seen.push(`oversize ${bytes}`),
    },
  );

  feed(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const byteCount = bytes.copy(this.read.free, 0, at);
      at += byteCount;
      this.read.filled(byteCount);
      const start = this.parser.parse(this.read.buffer, this.read.start, this.read.end);
      this.read.settle(start, this.parser.wantedBytes);
    }
  }
}

function reading(...chunks: (string | Buffer)[]): string[] {
  const reading = new Reading();
  for (const chunk of chunks) reading.feed(Buffer.from(chunk as string));
  return reading.seen;
}

describe('the parser of the NATS client protocol', () => {
  it('reads messages with and without a reply, and empty ones', () => {
    assert.deepEqual(reading('MSG a.b 1 5\r\nhello\r\nMSG c 22 _INBOX.x 2\r\n\r\n\r\nMSG d 3 0\r\n\r\n'), [
      '1 a.b - hello',
      '22 c _INBOX.x \r\n',
      '3 d - ',
    ]);
  });

  it('hands over the payload of a message behind its headers', () => {
    const headers = 'NATS/1.0\r\nA: b\r\n\r\n';
    assert.deepEqual(reading(`HMSG a 1 ${headers.length} ${headers.length + 2}\r\n${headers}hi\r\n`), [
      '1 a - hi',
    ]);
    assert.deepEqual(reading(`HMSG a 1 re.ply ${headers.length} ${headers.length}\r\n${headers}\r\n`), [
      '1 a re.ply ',
    ]);
  });

  it('takes a reply subject that looks like a number for what it is', () => {
    assert.deepEqual(reading('MSG a 1 77 2\r\nxx\r\n'), ['1 a 77 xx']);
    assert.deepEqual(reading('HMSG a 1 77 1 2\r\nxy\r\n'), ['1 a 77 y']);
  });

  it('takes control characters in subjects, as nats-server does', () => {
    assert.deepEqual(reading('MSG a\0b 1 c\x01\x1fd 1\r\nx\r\nHMSG \x0be 2 12 13\r\nNATS/1.0\r\n\r\ny\r\n'), [
      '1 a\0b c\x01\x1fd x',
      '2 \x0be - y',
    ]);
  });

  it('takes operations in any case, and more than one blank', () => {
    assert.deepEqual(
      reading("msg a  1\t2 \r\nxx\r\nPing\r\npOnG\r\n+ok\r\n-err  'Slow Consumer'\r\ninfo {} \r\n"),
      ['1 a - xx', 'ping', 'pong', 'error Slow Consumer', 'info {}'],
    );
  });

  it('sees the same however the bytes are cut', () => {
    const stream = Buffer.from(
      'INFO {"a":1}\r\nPING\r\nMSG a.b.c 1 _INBOX.r 5\r\nhello\r\nHMSG h 2 12 14\r\nNATS/1.0\r\n\r\nyo\r\n-ERR \'x\'\r\nPONG\r\n' +
        'MSG z 9 11\r\nMSG a 1 1\r\n\r\n+OK\r\n',
    );
    const whole = reading(stream);
    assert.equal(whole.length, 7);
    for (let cut = 1; cut < stream.length; cut++) {
      assert.deepEqual(reading(stream.subarray(0, cut), stream.subarray(cut)), whole, `cut at ${cut}`);
    }
    assert.deepEqual(reading(...Array.from(stream, (byte) => Buffer.from([byte]))), whole);
  });

  it('holds a message in one piece, of any size and position, and lets the memory go behind it', () => {
    const large = (size: number) => `MSG big 1 ${size}\r\n${'x'.repeat(size)}\r\n`;
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(300), fc.nat(40_000), fc.nat(900_000)), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 5 }),
        (sizes, cuts) => {
          const stream = Buffer.from(sizes.map(large).join(''));
          const reading = new Reading();
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + cuts[i % cuts.length]!;
            reading.feed(stream.subarray(at, end));
            at = end;
          }
          assert.deepEqual(
            reading.seen,
            sizes.map((size) => `1 big - ${size > 100 ? `${size} bytes` : 'x'.repeat(size)}`),
          );
          reading.feed(Buffer.from('MSG a 1 1\r\nx\r\n'));
          assert.ok(reading.read.buffer.length < 300_000);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('asks for all bytes of a large message once its size is known', () => {
    const reading = new Reading();
    reading.feed(Buffer.from('PING\r\nMSG a 1 500000\r\nxx'));
    assert.equal(reading.parser.wantedBytes, 'MSG a 1 500000\r\n'.length + 500_000 + 2);
    assert.ok(reading.read.free.length >= 500_000);
  });

  it('stops in the middle of what it has, when asked to', () => {
    const reading = new Reading();
    const parser: Parser = new Parser(
      { onMessage: () => parser.stop(), onBatchEnd: () => {} },
      reading.parser as never,
    );
    const bytes = Buffer.from('MSG a 1 0\r\n\r\nMSG a 1 0\r\n\r\n');
    parser.parse(bytes, 0, bytes.length);
    assert.equal(parser.messageCount, 1);
  });

  it('drops a message over max_payload, wherever it is cut, and goes on behind it', () => {
    const big = `MSG a 1 2000000\r\n${'x'.repeat(2_000_000)}\r\n`;
    const bytes = Buffer.from(`${big}MSG b 2 2\r\nhi\r\n`);
    for (const cut of [10, 17, 18, 19, 1_000_000, bytes.length - 14, bytes.length - 13, bytes.length - 12]) {
      const seen = reading(bytes.subarray(0, cut), bytes.subarray(cut));
      assert.deepEqual(seen, ['oversize 2000000', '2 b - hi'], `cut at ${cut}`);
    }
  });

  describe('refuses, with a reason', () => {
    const refused: [string, string, RegExp][] = [
      ['an unknown operation', 'HELLO\r\n', /not the NATS client protocol/],
      ['an HTTP answer', 'HTTP/1.1 400 Bad Request\r\n', /HTTP\/1.1 400/],
      ['no subscription id', 'MSG a 5\r\nhello\r\n', /MSG a 5/],
      ['an id that is no number', 'MSG a b 5\r\nhello\r\n', /MSG a b 5/],
      ['a size that is no number', 'MSG a 1 5x\r\nhello\r\n', /MSG a 1 5x/],
      ['a negative size', 'MSG a 1 -5\r\nhello\r\n', /-5/],
      ['a size of many digits', 'MSG a 1 99999999999999999999\r\n', /not the NATS/],
      ['too many words', 'MSG a 1 r 2 3\r\n', /not the NATS/],
      ['headers longer than the message', 'HMSG a 1 20 10\r\n', /not the NATS/],
      ['a payload without its line end', 'MSG a 1 2\r\nxxxMSG', /no line end behind the payload of 2 bytes/],
      [
        'a control line without end',
        `INFO ${'x'.repeat(MAX_CONTROL_LINE_BYTES)}`,
        /a control line of more than/,
      ],
      ['a subject without end', `MSG ${'x'.repeat(MAX_CONTROL_LINE_BYTES)}`, /a control line of more than/],
    ];
    for (const [what, bytes, reason] of refused) {
      it(what, () => {
        assert.throws(
          () => reading(bytes),
          (error) => error instanceof LinkProtocolError && reason.test(error.message),
        );
      });
    }
  });

  it('takes any bytes, cut anywhere, without any other error and within bounds', () => {
    const word = fc.constantFrom(
      'MSG',
      'HMSG',
      'PING',
      'INFO',
      '-ERR',
      ' ',
      ' 1',
      ' 12',
      ' a.b',
      '\r\n',
      '\r',
      '\n',
      '\0',
      'x',
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.array(word, { maxLength: 30 }).map((words) => Buffer.from(words.join(''))),
    );
    const outcome = (chunks: Buffer[]): string[] => {
      const reading = new Reading();
      try {
        for (const chunk of chunks) reading.feed(chunk);
      } catch (error) {
        assert.ok(error instanceof LinkProtocolError, String(error));
        return [...reading.seen, 'refused'];
      }
      assert.ok(reading.read.buffer.length < 2_500_000);
      return reading.seen;
    };
    fc.assert(
      fc.property(bytes, fc.nat(), (stream, at) => {
        const cut = stream.length === 0 ? 0 : at % stream.length;
        const whole = outcome([stream]);
        const inTwo = outcome([stream.subarray(0, cut), stream.subarray(cut)]);
        assert.deepEqual(inTwo, whole);
      }),
      { numRuns: 3_000 },
    );
  });
});
