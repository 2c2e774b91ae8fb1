import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { CommitGate } from '../../src/broker/delivery/commit-gate.js';
import { Delivery } from '../../src/broker/delivery/delivery.js';
import { AckHandler } from '../../src/broker/handlers/on-ack.js';
import { TimerWheel } from '../../src/clock/timer-wheel.js';
import { RecentGuids } from '../../src/dedup/recent-guids.js';
import { Gathering } from '../../src/store/batch/gathering.js';
import { Checkpointer } from '../../src/store/file/checkpointer.js';
import { FencedCommits } from '../../src/store/journal/fenced-commits.js';
import { FileLog } from '../../src/store/log/file-log.js';
import { SegmentWriter } from '../../src/store/segments/segment-writer.js';
import { BREAKS, BrokenPart } from '../harness/broken-part.js';
import { simulate } from './simulation.js';

const SEED = 3;
const KINDS = Object.entries(BREAKS);

/** Where it breaks: in which way the code runs that throws, and at which call. */
const PARTS: [where: string, prototype: object, method: string, at: number][] = [
  ['as a publish is appended', FileLog.prototype, 'append', 60],
  ['as a publish is looked for among those stored before', RecentGuids.prototype, 'add', 60],
  ['as an ack comes', AckHandler.prototype, 'handle', 40],
  ['in a timer', Delivery.prototype, 'redeliver', 1],
  ['as a timer is armed', TimerWheel.prototype, 'arm', 60],
  ['as a batch closes', Gathering.prototype, 'close', 30],
  ['when a batch is on disk', FencedCommits.prototype, 'written', 30],
  ['when a batch is fenced', CommitGate.prototype, 'release', 30],
  ['as a message goes out', Delivery.prototype, 'deliverChannel', 40],
  ['as a checkpoint begins', Checkpointer.prototype, 'begin', 1],
  ['in a checkpoint, behind the scenes', SegmentWriter.prototype, 'finish', 1],
];

describe('an active in which something breaks', () => {
  let part: BrokenPart | undefined;

  afterEach(() => part?.restore());

  for (const [index, [where, prototype, method, at]] of PARTS.entries()) {
    const [kind, error] = KINDS[index % KINDS.length]!;
    it(`gives the lease to a standby, which serves with all that was acked: an ${kind} ${where}`, async () => {
      part = new BrokenPart(prototype, method, at, error);
      // The fault takes nothing from anybody: all that comes of it is a warning.
      const { violations, trace, takeovers } = await simulate(SEED, {
        faults: { 'wall clock jumps': 1 },
        faultsMs: [2_000, 3_000],
        isTraced: true,
      });
      const story = trace.join('\n');
      assert.ok(part.hasBroken, 'the run was too short');
      const isSaid = (violation: string): boolean => /: a bug: the broker says nothing more/.test(violation);
      assert.equal(violations.filter(isSaid).length, 1, story);
      assert.deepEqual(
        violations.filter((violation) => !isSaid(violation)),
        [],
      );
      assert.match(story, /the term of epoch \d+ ends: .*This is a bug in Stanchion: please report it/);
      // The next one did not have to wait until the lease ran out.
      const after = story.slice(story.indexOf('This is a bug'));
      assert.match(after, /clients were without an active .*"reason":"it was given back"/);
      assert.ok(takeovers >= 2);
    });
  }
});
