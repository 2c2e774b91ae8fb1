import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { TwinHosts } from '../../../src/group/watch/twin-hosts.js';
import type { LogFields } from '../../../src/log/logger.js';
import { TestClock } from '../../store/support.js';

const SELF = 'm1@box@7@c0ffee00-9-300';

describe('machines of one host name', () => {
  let clock: TestClock;
  let warned: string[];
  let twins: TwinHosts;

  beforeEach(() => {
    clock = new TestClock();
    warned = [];
    const log = { warn: (_fields: LogFields, message: string) => warned.push(message) };
    twins = new TwinHosts({ clock, log, holder: SELF });
  });

  it('are reported at the first heartbeat, once in the log, with the cure', () => {
    for (let i = 0; i < 3; i++) twins.heard('m2@box@7@deadbeef-9-300');
    assert.equal(warned.length, 1);
    assert.match(warned[0]!, /same host name as this one, "box".*nfs4_unique_id/);
    assert.match(twins.problem ?? '', /^the machine of m2 has the same host name/);
  });

  it('are a problem as long as the other one is heard', () => {
    twins.heard('m2@box@7@deadbeef-9-300');
    clock.pass(9_000);
    twins.heard('m2@box@7@deadbeef-9-300');
    clock.pass(9_000);
    assert.notEqual(twins.problem, undefined);
    clock.pass(2_000);
    assert.equal(twins.problem, undefined);
  });

  it('are reported after many restarts too, though no one has asked for problems meanwhile', () => {
    for (let pid = 1; pid <= 20; pid++) {
      twins.heard(`m2@box@${pid}@deadbeef-9-300`);
      clock.pass(11_000);
    }
    assert.equal(warned.length, 20);
  });

  it('are not containers on one machine, machines of other names, or systems that do not say', () => {
    for (const other of ['m2@box@8@c0ffee00-12-900', 'm2@crate@7@deadbeef-9-300', 'm2@box@7@', 'm2'])
      twins.heard(other);
    assert.equal(twins.problem, undefined);
    assert.deepEqual(warned, []);
  });
});
