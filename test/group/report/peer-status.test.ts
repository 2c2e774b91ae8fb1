import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PeerStatus, peerStatus, unanswered } from '../../../src/group/report/peer-status.js';

const LONG_MS = 1_800;

function peer(member: string, silentMs: number): PeerStatus {
  const node = member.split('@')[0]!;
  const about = {
    role: 'standby',
    epoch: 4,
    forMs: 9,
    storeId: 's',
    storeDir: '/d',
    server: 'h:4222',
  } as const;
  return peerStatus({ heartbeat: { kind: 'heartbeat', member, node, ...about }, silentMs }, LONG_MS);
}

describe('a member as another one has heard it', () => {
  it('is where its name says, and is heard as long as it is not silent for too long', () => {
    const { node, host, pid, isHeard } = peer('n1@h1@17@start', LONG_MS);
    assert.deepEqual([node, host, pid, isHeard], ['n1', 'h1', 17, true]);
    assert.equal(peer('n1@h1@17@start', LONG_MS + 1).isHeard, false);
    const odd = peer('odd', 1);
    assert.deepEqual([odd.node, odd.host, odd.pid], ['odd', '', 0]);
  });
});

describe('the members that have not answered', () => {
  const answer = (member: string, ...peers: PeerStatus[]) => ({ member, node: member.split('@')[0]!, peers });
  const told = (answers: Parameters<typeof unanswered>[0]): [string, number][] =>
    unanswered(answers).map(({ member, silentMs }) => [member, silentMs]);

  it('are those that another one has heard, as the one that heard them last', () => {
    const a = answer('a@h@1@x', peer('b@h@2@x', 100), peer('c@h@3@x', 9_000));
    const b = answer('b@h@2@x', peer('a@h@1@x', 100), peer('c@h@3@x', 7_000), peer('d@h@4@x', 50));
    assert.deepEqual(told([a, b]), [
      ['c@h@3@x', 7_000],
      ['d@h@4@x', 50],
    ]);
  });

  it('are no former processes of a node that runs another one', () => {
    const a = answer('a@h@1@x', peer('c@h@3@x', 9_000), peer('d@h@4@x', 500), peer('b@h@1@old', 30_000));
    const b = answer('b@h@2@x', peer('c@h@5@x', 2_000));
    assert.deepEqual(told([a, b]), [
      ['c@h@5@x', 2_000],
      ['d@h@4@x', 500],
    ]);
  });

  it('are none if a member of another version reports none', () => {
    assert.deepEqual(told([{ member: 'a@h@1@x', node: 'a' }]), []);
  });
});
