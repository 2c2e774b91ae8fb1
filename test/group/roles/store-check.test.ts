import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MemberParts } from '../../../src/group/roles/member-parts.js';
import type { Pause } from '../../../src/group/roles/pause.js';
import type { Presence } from '../../../src/group/roles/presence.js';
import { StoreCheck } from '../../../src/group/roles/store-check.js';
import type { ProvingStore } from '../../../src/group/talk/group-talk.js';
import { TestClock } from '../../store/support.js';

const STORE: ProvingStore = { storeId: 'abc', groupKey: Buffer.alloc(32) };

describe('a member that starts and sees no store', () => {
  it('asks the file server when another one says that there is a store: its mount may remember that there was none', async () => {
    const looks: boolean[] = [];
    let seen: ProvingStore | undefined;
    const parts = {
      clock: new TestClock(),
      options: { name: 'g', nodeName: 'm1' },
      dir: '/store',
      talk: {
        get key() {
          return seen?.groupKey;
        },
        sees: (store: ProvingStore) => {
          seen = store;
        },
      },
      readIdentity: async (isFresh: boolean) => {
        looks.push(isFresh);
        return isFresh ? STORE : undefined;
      },
    };
    const pause = { pass: async () => {} };
    const presence = { role: 'starting', roleForMs: 0 };
    const check = new StoreCheck(
      parts as unknown as MemberParts,
      presence as unknown as Presence,
      pause as unknown as Pause,
    );
    await check.readIdentity();
    assert.deepEqual([looks, check.storeId], [[false], '']);
    const about = { forMs: 10, storeId: 'abc', storeDir: '/store', server: 'localhost:4222' };
    check.claimed({ kind: 'heartbeat', member: 'm2', node: 'm2', role: 'active', epoch: 1, ...about });
    assert.equal(await check.confirmNew(), undefined);
    assert.deepEqual([looks, check.storeId], [[false, true], 'abc']);
  });
});
