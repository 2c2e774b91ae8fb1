import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { GroupView } from '../../src/dashboard/group-rows.js';
import type { MemberRow } from '../../src/dashboard/member-rows.js';

type Since = (member: { node: string; silentMs: number }) => number;
interface Page {
  verdict(
    group: GroupView,
    summary: { full: string | null } | null,
    since: Since,
  ): [text: string, kind: string];
  SilentSince: new () => { of(member: { node: string; silentMs: number }, nowMs: number): number };
}

const NOON_MS = new Date(2026, 10, 25, 12, 0, 0).getTime();

describe('what the dashboard says of a group in one sentence', () => {
  let page: Page;

  before(async () => {
    // A script of the page, without types.
    page = (await import('../../src/dashboard/page/verdict.js' as string)) as Page;
  });

  const member = (node: string, role: string, changes: Partial<MemberRow> = {}): MemberRow => ({
    ...{
      node,
      role,
      epoch: 1,
      leaseAgeMs: null,
      leaseMs: 600,
      natsServer: 's',
      host: 'h',
      pid: 1,
      store: '/d',
    },
    ...{ roleForMs: 1, problem: null, silentMs: null },
    ...changes,
  });
  const says = (
    members: MemberRow[],
    changes: Partial<GroupView> = {},
    full: string | null = null,
  ): string[] => {
    const health = { isReady: true, reasons: [] };
    const group = { node: 'b', clusterId: 'c', group: 'g', role: 'standby', health, members, takeovers: [] };
    return page.verdict({ ...group, ...changes }, { full }, ({ silentMs }) => NOON_MS - silentMs);
  };
  const [a, b, c] = [member('a', 'active'), member('b', 'standby'), member('c', 'standby')];
  const silent = (of: MemberRow, silentMs = 5_000): MemberRow => ({ ...of, silentMs });
  const impaired = (of: MemberRow): MemberRow => ({ ...of, problem: 'the store cannot be watched' });

  it('is green only while one is active, another would take over, and none is missing or has a problem', () => {
    assert.deepEqual(says([a, b, c]), ['a is active, 2 standing by', 'good']);
    assert.deepEqual(says([a]), ['a is active, and no standby can take over', 'warn']);
    assert.deepEqual(says([a, b, silent(c)]), [
      'a is active, 1 standing by. Missing: c, not heard since 11:59:55',
      'warn',
    ]);
    assert.deepEqual(says([a, b, impaired(c)]), ['a is active, 1 standing by. With a problem: c', 'warn']);
    assert.deepEqual(says([a, impaired(b), silent(c)]), [
      'a is active, and no standby can take over. With a problem: b. Missing: c, not heard since 11:59:55',
      'warn',
    ]);
    assert.deepEqual(says([impaired(a), b]), ['a is active, 1 standing by. With a problem: a', 'bad']);
  });

  it('is red while no member is heard to be active, and names the one that was', () => {
    assert.deepEqual(says([silent(a), b]), [
      'No active has been heard since 11:59:55 (it was a): clients wait',
      'bad',
    ]);
    assert.deepEqual(says([b, c]), ['No member is active: clients wait', 'bad']);
    assert.deepEqual(says([silent(a), member('b', 'recovering')]), [
      'No member is active, and b is taking over: clients wait',
      'bad',
    ]);
    // What the others do is not known here.
    const health = { isReady: false, reasons: ['no connection to NATS'] };
    assert.deepEqual(says([silent(a), b], { health }), [
      'No active has been heard since 11:59:55 (it was a). This member: no connection to NATS',
      'bad',
    ]);
  });

  it('reports two actives, a full store, and a start', () => {
    assert.deepEqual(says([a, member('b', 'active')]), ['2 members say that they are active', 'bad']);
    assert.deepEqual(says([a, b], {}, 'no space'), [
      'a is active, 1 standing by. The store is full, publishers get errors: no space',
      'bad',
    ]);
    const health = { isReady: false, reasons: ['starting: joining the group'] };
    assert.deepEqual(says([], { role: 'starting', health }), ['starting: joining the group', 'warn']);
  });

  it('has one moment since when a member is not heard, however samples come', () => {
    const since = new page.SilentSince();
    assert.equal(since.of({ node: 'a', silentMs: 2_000 }, 10_000), 8_000);
    assert.equal(since.of({ node: 'a', silentMs: 4_015 }, 12_010), 8_000);
    assert.equal(since.of({ node: 'a', silentMs: 1_000 }, 60_000), 59_000);
  });
});
