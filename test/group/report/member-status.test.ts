import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seal } from '../../../src/group/proof/seal.js';
import { statusAnswers } from '../../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../../src/group/report/member-status.js';
import { memberStatusOf } from '../../../src/group/report/member-status-check.js';
import type { Asker } from '../../../src/nats/ask-all.js';

const STATUS: MemberStatus = {
  version: '1',
  clusterId: 'c',
  group: 'g',
  node: 'a',
  member: 'a@h@1@x',
  host: 'h',
  pid: 1,
  role: 'active',
  epoch: 3,
  roleForMs: 5,
  leaseMs: 600,
  leaseAgeMs: 5,
  natsServer: 'nats:4222',
  store: { kind: 'file', dir: '/d', storeId: 'AAAAAAAAAAAAAAAAAAAAAA' },
  clients: 0,
  channels: 0,
  messages: 0,
  takeovers: 1,
  lastTakeover: null,
  takeoverHistory: [{ epoch: 3, node: 'a', atWallMs: 1, story: null }],
  trouble: null,
  warnings: ['w'],
  needsProof: true,
  dispute: null,
  peers: [],
};

describe('an answer to a request for the status', () => {
  it('is a status if each field is what it is taken for', () => {
    assert.deepEqual(memberStatusOf(JSON.parse(JSON.stringify(STATUS))), STATUS);
  });

  it('is that of release 0.1.0 too, which lacks some fields', () => {
    const { warnings, needsProof, dispute, peers, takeoverHistory, ...former } = STATUS;
    assert.ok(warnings && needsProof && peers && takeoverHistory && dispute === null);
    assert.deepEqual(memberStatusOf(former), { ...former, peers: [], takeoverHistory: [] });
  });

  it('is malformed if any field is not', () => {
    for (const value of [null, 1, 'x', [], {}, { group: 'g', role: 'active' }])
      assert.equal(memberStatusOf(value), undefined);
    const wrong = [
      undefined,
      {},
      [],
      'x'.repeat(5_000),
      '\u001b[2J',
      -1,
      1.5,
      Number.POSITIVE_INFINITY,
      Number.NaN,
      true,
    ];
    const optional = new Set(['takeoverHistory', 'warnings', 'needsProof', 'dispute', 'peers']);
    for (const field of Object.keys(STATUS)) {
      for (const value of wrong) {
        const isFine =
          (value === undefined && optional.has(field)) ||
          (Array.isArray(value) && ['takeoverHistory', 'warnings', 'peers'].includes(field)) ||
          (value === true && field === 'needsProof') ||
          (value === 1.5 && ['roleForMs', 'leaseMs', 'leaseAgeMs'].includes(field)) ||
          (value === '\u001b[2J' && field === 'trouble');
        if (isFine) continue;
        assert.equal(
          memberStatusOf({ ...STATUS, [field]: value }),
          undefined,
          `${field}: ${String(value).slice(0, 9)}`,
        );
      }
    }
    const story = { epoch: 3, node: 'a', atWallMs: 1e300, story: null };
    assert.equal(
      memberStatusOf({ ...STATUS, takeoverHistory: [story] }),
      undefined,
      'a time that is no date',
    );
    assert.equal(memberStatusOf({ ...STATUS, peers: [{ node: 'b' }] }), undefined);
    assert.equal(memberStatusOf({ ...STATUS, dispute: { rivals: [{}] } }), undefined);
  });
});

describe('the status of a group that anyone may answer', () => {
  const KEY = Buffer.alloc(32, 1);
  const SUBJECT = '_STANCHION.group.c.g.status';

  /** NATS, with these answers to the request. */
  function answering(answers: (request: Uint8Array) => readonly (string | Uint8Array)[]): Asker {
    let answer: ((data: Uint8Array) => void) | undefined;
    return {
      subscribe: (_inbox, { callback }) => {
        answer = (data) => callback(null, { data });
        return { unsubscribe: () => {} };
      },
      publish: (_subject, payload) => {
        for (const data of answers(payload)) answer?.(Buffer.from(data));
      },
      flush: async () => {},
    };
  }

  const forged = JSON.stringify({ ...STATUS, node: 'evil' });
  let recorded: Uint8Array | undefined;
  const nats = answering((request) => {
    const answer = seal(KEY, [SUBJECT, request], JSON.stringify(STATUS));
    const before = recorded ?? answer;
    recorded ??= answer;
    return [
      'nonsense',
      '{"group":"g"}',
      forged,
      seal(Buffer.alloc(32, 2), [SUBJECT, request], forged),
      before,
      answer,
    ];
  });
  const nodesOf = (members: readonly MemberStatus[]): string[] => members.map(({ node }) => node);

  it('shows what is proved by the key as an answer to this very request, and counts the rest', async () => {
    const question = { clusterId: 'c', group: 'g', key: KEY };
    await statusAnswers(nats, question);
    const { members, unproved, malformed } = await statusAnswers(nats, question);
    assert.deepEqual([nodesOf(members), nodesOf(unproved), malformed], [['a'], ['evil', 'evil', 'a'], 2]);
  });

  it('shows all that are well-formed to who has no key', async () => {
    const { members, unproved } = await statusAnswers(nats, { clusterId: 'c', group: 'g', key: undefined });
    assert.deepEqual([nodesOf(members), unproved], [['a', 'a', 'evil', 'evil'], []]);
  });

  it('keeps a bounded number of answers', async () => {
    const flood = answering(() => Array.from({ length: 10_000 }, () => forged));
    const { members } = await statusAnswers(flood, { clusterId: 'c', group: 'g', key: undefined });
    assert.equal(members.length, 256);
    const { unproved } = await statusAnswers(flood, { clusterId: 'c', group: 'g', key: KEY });
    assert.equal(unproved.length, 32);
  });
});
