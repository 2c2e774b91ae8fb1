import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { AckRate } from '../../src/drill/ack-rate.js';
import { ChannelCheck } from '../../src/drill/channel-check.js';
import { reportText } from '../../src/drill/drill-report-text.js';
import { Ledger } from '../../src/drill/ledger.js';
import { Outage } from '../../src/drill/outage.js';
import { PAYLOAD_BYTES, writePayload } from '../../src/drill/payload.js';
import { type DrillReport, makeReport } from '../../src/drill/report.js';
import { SubscriptionCheck } from '../../src/drill/subscription-check.js';

const RUN = 'abcdefghij';

/** A channel with two publishers, and what is in its store: problems are planted there. */
class Scene {
  readonly a = new Ledger('a', 1);
  readonly b = new Ledger('b', 2);
  readonly channel = new ChannelCheck('drill', RUN, [this.a, this.b]);
  readonly regular = new SubscriptionCheck('regular', this.channel, 1);
  /** What is stored, from sequence 1. Undefined is a gap. */
  store: (Buffer | undefined)[] = [];

  /** Sends, stores and acknowledges so many. */
  publish(ledger: Ledger, count: number): void {
    for (let i = 0; i < count; i++) {
      const index = ledger.send();
      ledger.ack(index);
      this.store.push(message(ledger.publisher, index));
    }
  }

  deliver(sequence: number, isRedelivered = false, bytes = this.store[sequence - 1]!): void {
    this.regular.received(0, sequence, isRedelivered, bytes, 0, bytes.length);
  }

  deliverAll(): void {
    for (let sequence = 1; sequence <= this.store.length; sequence++) this.deliver(sequence);
  }

  beginPhase(): void {
    for (const part of [this.a, this.b, this.regular]) part.beginPhase();
  }

  readBack(firstSequence = 1): void {
    for (const [i, bytes] of this.store.entries()) {
      if (bytes !== undefined && i + 1 >= firstSequence) this.channel.stored(i + 1, bytes, 0, bytes.length);
    }
  }

  report(phases: readonly (undefined | 'kill' | 'term')[] = [undefined]): DrillReport {
    return makeReport({ ...recordOf(this), phases, epochs: { first: 1, last: phases.length } });
  }
}

function message(publisher: number, index: number): Buffer {
  const bytes = Buffer.alloc(PAYLOAD_BYTES);
  writePayload(bytes, 0, RUN, publisher, index);
  return bytes;
}

describe('the check of a drill', () => {
  let scene: Scene;
  beforeEach(() => {
    scene = new Scene();
  });

  function failure(): string {
    const report = scene.report();
    assert.equal(report.verdict, 'failed');
    assert.match(reportText(report), /^FAILED: /m);
    return report.failures.join('\n');
  }

  it('finds nothing where nothing is wrong', () => {
    scene.publish(scene.a, 3_000);
    scene.publish(scene.b, 2_000);
    scene.publish(scene.a, 5_000);
    scene.deliverAll();
    scene.readBack();
    const report = scene.report();
    assert.deepEqual([report.verdict, report.failures], ['passed', []]);
    const { acked, lost, storedTwice, outOfOrder, cameTwice } = report.total;
    assert.deepEqual([acked, lost, storedTwice, outOfOrder, cameTwice], [10_000, 0, 0, 0, 0]);
  });

  it('finds one message of thousands that was acknowledged and is not stored', () => {
    scene.publish(scene.a, 5_000);
    scene.store.splice(4_321, 1);
    scene.deliverAll();
    scene.readBack();
    assert.match(failure(), /^1 acknowledged and lost \(a: 4321/);
  });

  it('does not miss what was never acknowledged', () => {
    scene.publish(scene.a, 10);
    scene.a.send();
    scene.deliverAll();
    scene.readBack();
    assert.equal(scene.report().verdict, 'passed');
  });

  it('finds a message that is stored twice', () => {
    scene.publish(scene.a, 10);
    scene.store.push(message(1, 4));
    scene.deliverAll();
    scene.readBack();
    assert.match(failure(), /^1 stored twice \(a: 4/);
  });

  it('counts what is stored in another order than sent, unless it was sent again', () => {
    scene.publish(scene.a, 10);
    const swap = (i: number): void => {
      const [one, two] = scene.store.splice(i, 2);
      scene.store.splice(i, 0, two, one);
    };
    swap(2);
    swap(6);
    scene.a.sendAgain(6);
    scene.deliverAll();
    scene.readBack();
    const report = scene.report();
    assert.equal(report.total.outOfOrder, 1);
    assert.equal(report.verdict, 'passed');
    assert.ok(report.remarks.includes('1 out of order.'));
  });

  it('finds two messages of one sequence: what a subscriber saw, and what is stored', () => {
    scene.publish(scene.a, 10);
    scene.deliverAll();
    scene.store[4] = message(1, 5);
    scene.store[5] = message(1, 4);
    scene.readBack();
    assert.match(failure(), /^2 times a sequence meant two messages in drill/m);
  });

  it('finds two messages of one sequence that two deliveries had', () => {
    scene.publish(scene.a, 2);
    scene.deliverAll();
    scene.deliver(1, true, message(1, 1));
    scene.readBack();
    assert.match(failure(), /^1 times a sequence meant two messages/m);
  });

  it('finds what was shown and is gone', () => {
    scene.publish(scene.a, 3);
    scene.a.send();
    scene.deliver(4, false, message(1, 3));
    scene.deliverAll();
    scene.readBack();
    assert.match(failure(), /^1 shown to a subscriber and not stored/m);
  });

  it('finds a gap in the sequences', () => {
    scene.publish(scene.a, 3);
    scene.store.splice(1, 0, undefined);
    scene.deliver(1);
    scene.deliver(3);
    scene.deliver(4);
    scene.readBack();
    assert.match(failure(), /^1 sequences without a message/m);
  });

  it('finds a flipped bit, and messages that were never sent', () => {
    scene.publish(scene.a, 3);
    scene.deliverAll();
    scene.store[1] = Buffer.from(scene.store[1]!);
    scene.store[1][60]! ^= 1;
    scene.store.push(message(2, 0), message(9, 0));
    scene.deliver(4);
    scene.deliver(5);
    scene.readBack();
    const found = failure();
    assert.match(found, /^1 with bytes that were not sent/m);
    assert.match(found, /^2 that were never sent/m);
    assert.match(found, /^1 acknowledged and lost/m);
  });

  it('says what cannot be known when limits have removed messages', () => {
    scene.publish(scene.a, 10);
    scene.deliverAll();
    scene.readBack(4);
    assert.match(failure(), /^3 removed by the limits of drill, so that losses cannot be checked/);
  });

  it('finds what a subscription has never got', () => {
    scene.publish(scene.a, 5);
    for (const sequence of [1, 2, 4, 5]) scene.deliver(sequence);
    scene.readBack();
    assert.match(failure(), /^1 never delivered to the regular subscription/);
  });

  it('distinguishes a redelivery without its flag, and a late one, from those that may come', () => {
    scene.publish(scene.a, 6);
    for (const sequence of [1, 2, 4, 3, 5, 6]) scene.deliver(sequence);
    scene.deliver(2);
    scene.deliver(1, true);
    scene.readBack();
    const { verdict, subscriptions } = scene.report();
    assert.equal(verdict, 'passed');
    assert.deepEqual(subscriptions, [
      { name: 'regular', received: 6, redelivered: 1, cameTwice: 1, outOfOrder: 1, missing: 0 },
    ]);
  });

  it('counts by the fault in whose time it happened', () => {
    scene.publish(scene.a, 10);
    scene.beginPhase();
    scene.publish(scene.a, 20);
    scene.beginPhase();
    scene.publish(scene.a, 30);
    scene.publish(scene.b, 1);
    scene.store.splice(15, 1);
    scene.store.push(message(1, 35));
    scene.deliverAll();
    scene.deliver(1);
    scene.readBack();
    const { rows } = scene.report([undefined, 'kill', 'term']);
    assert.deepEqual(
      rows.map(({ fault, acked, lost, storedTwice, cameTwice }) => [
        fault,
        acked,
        lost,
        storedTwice,
        cameTwice,
      ]),
      [
        [undefined, 10, 0, 0, 0],
        ['kill', 20, 1, 0, 0],
        ['term', 31, 0, 1, 1],
      ],
    );
  });

  it('does not say that nothing is lost when nothing was read', () => {
    scene.publish(scene.a, 10);
    const report = makeReport({
      ...recordOf(scene),
      isChecked: false,
      failures: ['no broker answers'],
    });
    assert.equal(report.verdict, 'failed');
    assert.match(reportText(report), /not read back/);
    assert.match(reportText(report), /^all +0 .* 10 +\? +\?/m);
  });
});

function recordOf(scene: Scene): Parameters<typeof makeReport>[0] {
  return {
    options: {
      target: { kind: 'local', nodes: 3, dir: undefined },
      plan: [],
      messages: 0,
      rate: 1,
      pauseMs: 0,
      settleMs: 0,
      timeoutMs: 0,
    },
    clusterId: 'c',
    group: 'g',
    members: 3,
    load: {
      channels: [scene.channel],
      subscriptions: [scene.regular],
      ledgers: [scene.a, scene.b],
      unackedCount: 0,
      calmMs: 1,
    },
    phases: [undefined],
    takeovers: [],
    epochs: { first: 1, last: 1 },
    isInterrupted: false,
    isChecked: true,
    failures: [],
  };
}

describe('an outage', () => {
  it('is the longest time between two acks, whole also if it began before, and while it goes on', () => {
    const outage = new Outage(0);
    for (const nowMs of [10, 60, 70]) outage.ack(nowMs);
    assert.equal(outage.longestMs(71), 50);
    outage.begin();
    assert.equal(outage.longestMs(90), 20);
    outage.ack(170);
    outage.ack(175);
    assert.equal(outage.longestMs(180), 100);
  });
});

describe('the rate of acks', () => {
  /** So many acks in each of these milliseconds. */
  function acks(rate: AckRate, fromMs: number, toMs: number, count: number): void {
    for (let ms = fromMs; ms < toMs; ms++) for (let i = 0; i < count; i++) rate.ack(ms);
  }

  /** 10 acks a millisecond, up to a fault at 5 s. */
  function faulted(): AckRate {
    const rate = new AckRate(0);
    acks(rate, 0, 5_000, 10);
    rate.fault(5_000);
    return rate;
  }

  it('is as before when so many acks come again, and go on to come for a second', () => {
    const rate = faulted();
    acks(rate, 5_300, 7_000, 10);
    assert.equal(rate.asBeforeMs(6_200), undefined, 'a second is not over');
    // A window may begin 10 ms before the acks do: 90% of them are enough.
    assert.equal(rate.asBeforeMs(7_000), 290);
  });

  it('is not as before while acks come more slowly, or in a burst that ends', () => {
    const rate = faulted();
    acks(rate, 5_200, 5_300, 20);
    acks(rate, 5_300, 5_900, 5);
    acks(rate, 5_900, 8_000, 10);
    assert.equal(rate.asBeforeMs(8_000), 880);
  });

  it('may be as before without an outage, and never again', () => {
    const well = faulted();
    acks(well, 5_000, 6_500, 10);
    assert.equal(well.asBeforeMs(6_500), 10);
    const slow = faulted();
    acks(slow, 5_000, 9_000, 8);
    assert.equal(slow.asBeforeMs(9_000), undefined);
  });

  it('counts from each fault anew', () => {
    const rate = faulted();
    acks(rate, 5_300, 9_000, 10);
    rate.fault(9_000);
    acks(rate, 9_100, 11_000, 10);
    assert.equal(rate.asBeforeMs(11_000), 90);
  });
});
