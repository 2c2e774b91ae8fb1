import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Clock } from '../../../src/clock/clock.js';
import { GroupClocks } from '../../../src/group/talk/group-clocks.js';
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type Heartbeat,
} from '../../../src/group/talk/group-messages.js';
import type { Logger } from '../../../src/log/logger.js';

const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

function heartbeat(node: string, about: Partial<Heartbeat>): Heartbeat {
  return {
    kind: 'heartbeat',
    member: `${node}@host@1@boot`,
    node,
    role: 'standby',
    epoch: 1,
    forMs: 0,
    storeId: '',
    storeDir: '',
    server: '',
    ...about,
  };
}

describe('what a member knows of the clocks of its group', () => {
  let wallMs: number;
  let monotonicMs: number;
  let said: string[];
  let clocks: GroupClocks;

  beforeEach(() => {
    wallMs = START_MS;
    monotonicMs = 0;
    said = [];
    const clock: Clock = {
      monotonicMs: () => monotonicMs,
      wallNs: () => BigInt(wallMs) * 1_000_000n,
      setTimer: () => ({ cancel: () => {} }),
    };
    const say = (_: Record<string, unknown>, message: string): void => {
      said.push(message);
    };
    const log: Logger = { debug: say, info: say, warn: say, error: say, child: () => log };
    clocks = new GroupClocks(clock, log);
  });

  const pass = (ms: number): void => {
    wallMs += ms;
    monotonicMs += ms;
  };

  it('says once which clock is apart, on which side, and when it no longer is', () => {
    for (let i = 0; i < 3; i++) {
      pass(200);
      clocks.heard(heartbeat('a', { wallMs: wallMs + 2 * HOUR_MS }));
      clocks.heard(heartbeat('b', { wallMs: wallMs - 60_000 }));
      clocks.look();
    }
    assert.equal(said.length, 1);
    assert.match(
      said[0]!,
      /^the clock of node a is 7200 s ahead of that of this machine\. .*Compare the clocks/,
    );
    assert.equal(clocks.apartMs, 2 * HOUR_MS);
    assert.deepEqual(clocks.problems, [
      'the clock of node a is 7200 s ahead of that of this machine. Compare them (timedatectl, or date -u)',
    ]);
    clocks.heard(heartbeat('a', { wallMs }));
    clocks.look();
    assert.match(said[1]!, /this machine and of node a are in step again/);
    assert.deepEqual(clocks.problems, []);
  });

  it('forgets a member that is not heard for ten seconds, or leaves', () => {
    for (const node of ['a', 'b']) clocks.heard(heartbeat(node, { wallMs: wallMs - HOUR_MS }));
    clocks.left('a@host@1@boot');
    assert.equal(clocks.problems.length, 1);
    pass(10_001);
    clocks.look();
    assert.deepEqual([clocks.problems, clocks.apartMs], [[], 0]);
  });

  it('believes a clock that has jumped if those of most others have, and not while they have not', () => {
    const beat = (others: Record<string, number>): void => {
      pass(200);
      clocks.look();
      for (const [node, ms] of Object.entries(others)) clocks.heard(heartbeat(node, { wallMs: ms }));
      clocks.look();
    };
    beat({ a: wallMs, b: wallMs });
    wallMs += HOUR_MS;
    beat({ a: wallMs - HOUR_MS, b: wallMs - HOUR_MS });
    for (const endMs = wallMs + 2 * HOUR_MS; wallMs < endMs; pass(5_000))
      beat({ a: wallMs - HOUR_MS, b: wallMs - HOUR_MS });
    assert.equal(clocks.believed.doubtMs, HOUR_MS);
    // It was this machine that had stood still.
    beat({ a: wallMs, b: wallMs });
    assert.equal(clocks.believed.doubtMs, 0);
  });

  it("carries the store's own time on, from the active if it was heard, and passes it to a member that has just come", () => {
    assert.equal(clocks.continued(), undefined);
    assert.deepEqual(clocks.times(), { wallMs: START_MS, storeMs: undefined, storeLeadMs: undefined });
    clocks.heard(heartbeat('b', { storeMs: START_MS - 5_000, storeLeadMs: 0 }));
    assert.equal(clocks.continued()?.ns, BigInt(START_MS - 5_000) * 1_000_000n);
    clocks.heard(heartbeat('a', { role: 'active', storeMs: START_MS + 7_000, storeLeadMs: 7_000 }));
    pass(1_000);
    clocks.heard(heartbeat('b', { storeMs: 1, storeLeadMs: 0 }));
    assert.deepEqual(clocks.continued(), { ns: BigInt(START_MS + 8_000) * 1_000_000n, leadMs: 7_000 });
    clocks.look();
    assert.deepEqual(clocks.times(), {
      wallMs: START_MS + 1_000,
      storeMs: START_MS + 8_000,
      storeLeadMs: 7_000,
    });
    // Of a term that is over.
    clocks.heard(heartbeat('c', { role: 'active', epoch: 0, storeMs: 1, storeLeadMs: 0 }));
    assert.equal(clocks.continued()?.leadMs, 7_000);
  });

  it('hears members of 0.1.0, which say nothing of it, and ignores what is no time', () => {
    const former = encodeGroupMessage(heartbeat('a', {}));
    const message = decodeGroupMessage(former);
    assert.equal(message?.kind, 'heartbeat');
    clocks.heard(message as Heartbeat);
    assert.deepEqual([clocks.continued(), clocks.apartMs], [undefined, 0]);
    for (const field of ['wallMs', 'storeMs', 'storeLeadMs']) {
      for (const value of ['1', null, 1e300, -1e300]) {
        const wrong = { ...heartbeat('a', {}), [field]: value };
        assert.equal(decodeGroupMessage(Buffer.from(JSON.stringify(wrong))), undefined, `${field} ${value}`);
      }
    }
  });
});
