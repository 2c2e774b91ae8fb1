import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TakeoverHistory } from '../../../src/group/report/takeover-history.js';
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type Heartbeat,
} from '../../../src/group/talk/group-messages.js';
import type { TakeoverTimeline } from '../../../src/group/talk/takeover-timeline.js';

function story(epoch: number, node = 'a'): TakeoverTimeline {
  return {
    reason: 'it was given back',
    reasonKind: 'handover',
    epoch,
    node,
    from: null,
    outageMs: 12.5,
    detectionMs: 2.5,
    tookMs: 10,
    recoveryMs: 5,
    parts: { claimMs: 1, listMs: 1, checkpointMs: 1, journalMs: 1, openMs: 1, fenceMs: 1, servingMs: 4 },
    found: {
      journalBytes: 1,
      journalMessages: 1,
      messages: 1,
      channels: 1,
      clients: 1,
      subscriptions: 1,
      heard: 0,
    },
    atWallMs: 1000 + epoch,
  };
}

const HEARTBEAT: Heartbeat = {
  kind: 'heartbeat',
  member: 'a@h@1@x',
  node: 'a',
  role: 'active',
  epoch: 2,
  forMs: 5,
  storeId: 's',
  storeDir: '/d',
  server: 'localhost:4222',
};

describe('the timeline of a takeover', () => {
  it('comes with the heartbeats of the member that took over', () => {
    const told = { ...HEARTBEAT, story: story(2) };
    assert.deepEqual(decodeGroupMessage(encodeGroupMessage(told)), told);
  });

  it('is left out where it is none as this version knows it, and the heartbeat counts all the same', () => {
    const whole = story(2) as unknown as Record<string, unknown>;
    const odd: unknown[] = [
      ...Object.keys(whole).map((name) => ({ ...whole, [name]: undefined })),
      { ...whole, reasonKind: 'boredom' },
      { ...whole, parts: { claimMs: 1 } },
      'a text',
      null,
      7,
    ];
    for (const each of odd) {
      const payload = Buffer.from(JSON.stringify({ ...HEARTBEAT, story: each }));
      const { story: kept, ...rest } = decodeGroupMessage(payload) as Heartbeat;
      assert.equal(kept, undefined, JSON.stringify(each));
      assert.deepEqual(rest, HEARTBEAT);
    }
  });
});

describe('the history of takeovers', () => {
  it('has one for each epoch, in their order, and the last twenty', () => {
    const history = new TakeoverHistory();
    for (const epoch of [3, 1, 2, 2]) history.add(story(epoch));
    assert.deepEqual(
      history.all.map(({ epoch }) => epoch),
      [1, 2, 3],
    );
    for (let epoch = 4; epoch <= 30; epoch++) history.addSeen(epoch, 'b', epoch);
    assert.equal(history.all.length, 20);
    assert.deepEqual([history.all[0]!.epoch, history.all.at(-1)!.epoch], [11, 30]);
  });

  it('takes the timeline of a takeover that was only seen, keeps it, and says what is news', () => {
    const history = new TakeoverHistory();
    assert.deepEqual(history.addSeen(5, 'a', 77), { epoch: 5, node: 'a', atWallMs: 77, story: null });
    assert.equal(history.addSeen(5, 'a', 78), undefined);
    assert.equal(history.add(story(5))?.story?.reasonKind, 'handover');
    assert.equal(history.add(story(5)), undefined);
    assert.equal(history.addSeen(5, 'a', 79), undefined);
    assert.deepEqual([history.all.length, history.all[0]!.atWallMs], [1, 1005]);
  });
});
