import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { summaryText } from '../../src/cli/import-text.js';
import { limitsOfConfigFile } from '../../src/config/go-file/limits.js';
import type { ImportSummary } from '../../src/import/import.js';

const SUMMARY: ImportSummary = {
  ...{ from: 'postgres://***@db/stan', dir: '/srv/a store', clusterId: 'c', storeId: 'abc' },
  ...{ channels: 1, messages: 2000, bytes: 4096, clients: 1, subscriptions: 3, connected: 2, durables: 1 },
  ...{ pending: 7, missing: 3, gapCount: 1, gaps: [{ channel: 'orders', first: 5, last: 7 }] },
  ...{ raised: [{ channel: 'orders', from: 10, to: 12 }], leftOut: ['client x: it has no inbox'] },
  hidden: { byMaxMessages: 5, byMaxBytes: 0, byMaxAge: 1 },
  bounds: [{ channel: 'orders', first: 1, last: 12, messages: 9 }],
  problems: [{ isLoss: true, where: '/old/msgs.1.dat', offset: 33, text: 'a record is torn\u001b[2J' }],
};

describe('the summary of an import', () => {
  const limits = limitsOfConfigFile(undefined, { env: {}, readFile: () => '' }, { maxAgeMs: 7_200_000 });
  const text = summaryText('postgres://me:secret@db/stan', SUMMARY, limits, 1.26);

  it('shows no password, and commands that can be copied', () => {
    assert.doesNotMatch(text, /secret/);
    assert.match(
      text,
      /stanchion import --verify --from 'postgres:\/\/\*\*\*@db\/stan' --dir '\/srv\/a store' \.\.\./,
    );
    assert.match(text, /^To go on: stanchion serve --store file --dir '\/srv\/a store' --cluster-id c$/m);
  });

  it('names what came along, what was assumed, what that hides, and what is lost', () => {
    for (const line of [
      /^Imported .* in 1\.3 s, as store abc of cluster "c": 2,000 messages \(4\.0 KiB\), 1 channel, 1 client with 2 subscriptions, 1 durable, 7 pending messages$/m,
      /^orders +1 +12 +9$/m,
      /^The old server's limits are taken to be 1,000,000 messages, 976\.6 MiB, an age of 2h, /m,
      /^They hide 5 messages \(--max-msgs\), 1 message \(--max-age\), /m,
      /^3 sequences in 1 gap have no message in the source, and none in the store: orders 5 to 7$/m,
      /^New messages of orders begin behind 12, not 10: /m,
      /^Note: client x: it has no inbox$/m,
      /^LOST: \/old\/msgs\.1\.dat, byte 33: a record is torn\\u001b\[2J$/m,
    ])
      assert.match(text, line);
  });
});
