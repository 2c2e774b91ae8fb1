import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../src/log/logger.js';
import { ServerLog } from '../../src/nats/server-log.js';

describe("a nats-server's log", () => {
  it('knows the complaint from the usage, whichever comes first', () => {
    for (const streams of [['stdout', 'stderr'] as const, ['stderr', 'stdout'] as const]) {
      const log = new ServerLog(silentLogger);
      for (const stream of streams) {
        log.write(
          stream,
          stream === 'stdout' ? 'Usage: nats-server\n' : 'flag provided but not defined: -x\n',
        );
      }
      assert.equal(log.complaint, 'flag provided but not defined: -x');
    }
  });

  it('takes a fatal error before what else was said', () => {
    const log = new ServerLog(silentLogger);
    log.write('stderr', '[7] 2026/01/01 00:00:00.000000 [INF] Starting nats-server\n[7] 2026/01/01 ');
    log.write('stdout', 'hello\n');
    log.write('stderr', '00:00:00.000001 [FTL] no room');
    log.end();
    assert.equal(log.complaint, 'no room');
    assert.deepEqual(log.lastLines, ['Starting nats-server', 'hello', 'no room']);
  });
});
