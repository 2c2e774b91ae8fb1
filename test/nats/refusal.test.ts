import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogFields, Logger } from '../../src/log/logger.js';
import { parseRefusal, remedyOf } from '../../src/nats/refusal.js';
import { RefusalLog } from '../../src/nats/refusal-log.js';

describe("a server's refusal", () => {
  it('is understood in all the words that nats-server has for it', () => {
    const known: [
      text: string,
      operation: string,
      subject: string | undefined,
      remedy: RegExp | undefined,
    ][] = [
      [
        'Permissions Violation for Subscription to "_STAN.pub.x.>"',
        'subscribe',
        '_STAN.pub.x.>',
        /subscribe "_STAN\.>"/,
      ],
      [
        'Permissions Violation for Subscription to "_INBOX.abc.*" (sid "7")',
        'subscribe',
        '_INBOX.abc.*',
        /subscribe "_INBOX\.>"/,
      ],
      [
        'Permissions Violation for Subscription to "_STANCHION.group.c.g.talk" using queue "q"',
        'subscribe',
        '_STANCHION.group.c.g.talk',
        /subscribe "_STANCHION\.group\.>"/,
      ],
      [
        'Permissions Violation for Subscription to "my.discover.c" using queue "q" (sid "12")',
        'subscribe',
        'my.discover.c',
        /subscribe "my\.discover\.c"/,
      ],
      ['Permissions Violation for Publish to "say \\"a\\\\b\\""', 'publish', 'say "a\\b"', /publish ">"/],
      ['Permissions Violation for Publish with Reply of "$JS.ACK.x"', 'publish', '$JS.ACK.x', /publish ">"/],
      ['Permissions Violation for Subscription to "a.b.c", too many tokens', 'other', 'a.b.c', undefined],
      ['maximum subscriptions exceeded', 'subscription limit', undefined, /limit on subscriptions/],
      ['Invalid Subject', 'other', undefined, undefined],
    ];
    for (const [text, operation, subject, remedy] of known) {
      const refusal = parseRefusal('data link', text);
      assert.deepEqual(refusal, { connection: 'data link', operation, subject, text });
      if (remedy === undefined) assert.equal(remedyOf(refusal), undefined, text);
      else assert.match(remedyOf(refusal) ?? '', remedy);
    }
  });
});

describe('the log of refusals', () => {
  function logOf(): { refusals: RefusalLog; lines: string[] } {
    const lines: string[] = [];
    const note = (_: LogFields, line: string) => void lines.push(line);
    const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
    return { refusals: new RefusalLog(logger), lines };
  }
  const pub = (subject: string) =>
    parseRefusal('data link', `Permissions Violation for Publish to "${subject}"`);

  it('has each subject once, and again when it was allowed meanwhile', () => {
    const { refusals, lines } = logOf();
    for (let connection = 0; connection < 3; connection++) {
      refusals.connected();
      for (let times = 0; times < 5; times++) refusals.note(pub('a'));
    }
    assert.deepEqual(lines, [
      'NATS refuses to let the broker publish on "a": its user needs the permission publish ">"; see docs/install.md',
    ]);
    refusals.connected();
    refusals.connected();
    refusals.note(pub('a'));
    assert.equal(lines.length, 2);
  });

  it('stays small whatever is refused', () => {
    const { refusals, lines } = logOf();
    for (let connection = 0; connection < 3; connection++) {
      refusals.connected();
      for (let i = 0; i < 1_000; i++) refusals.note(pub(`inbox.${i}`));
    }
    assert.equal(lines.length, 21);
    assert.equal(lines.at(-1), 'NATS refuses the broker more subjects');
  });
});
