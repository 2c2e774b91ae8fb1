import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { CheckedBroker, CheckedControl, CheckedLink } from '../../../src/broker/check/checked.js';
import { Probe } from '../../../src/broker/check/probe.js';
import { SelfCheck } from '../../../src/broker/check/self-check.js';
import { OutBuffer } from '../../../src/link/writer.js';
import { stanSubjects } from '../../../src/protocol/stan-subjects.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { LogLines } from '../../harness/in-process.js';

const SUBJECTS = stanSubjects('c', '_STAN.discover');
const ACKS = '_INBOX.store.*';

/** A NATS server with both connections of one broker. */
class Nats {
  /** It takes what comes and answers: else all flushes wait. */
  isAnswering = true;
  /** The data link does: else its flushes wait. */
  isLinkAnswering = true;
  /** What is published on such subjects reaches nobody. */
  lost: RegExp | undefined;
  /** Subscribing to such subjects is refused. */
  refused: RegExp | undefined;
  onRefused: (subject: string) => void = () => {};
  /** Late only with the whole server: a link that alone is late is for `LinkWatch`. */
  readonly #pulse = {
    nats: this,
    answeredBytes: 0,
    owedBytes: 0,
    get lateMs(): number {
      return this.nats.isAnswering ? 0 : 60_000;
    },
  };
  control = this.#newControl();
  link = this.#newLink();
  readonly renewals: string[] = [];
  broker: CheckedBroker | undefined = newBroker();
  readonly #waiting: (() => void)[] = [];
  readonly #answers: { reply: string; payload: Uint8Array }[] = [];
  #take: ((subject: string, data: Uint8Array) => void) | undefined;

  /** All flushes that wait are answered. */
  goOn(): void {
    this.isAnswering = this.isLinkAnswering = true;
    this.#deliver();
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  renewLink(why: string): void {
    this.renewals.push(why);
    this.link = this.#newLink();
  }

  #deliver(): void {
    if (!this.isAnswering || !this.isLinkAnswering) return;
    for (const { reply, payload } of this.#answers.splice(0)) this.#take?.(reply, payload);
  }

  async #flush(isAnswered: () => boolean): Promise<void> {
    if (!isAnswered()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #newControl(): CheckedControl {
    return {
      isClosed: () => false,
      publish: (subject, payload, { reply = '' } = {}) => {
        if (this.lost?.test(subject) !== true && typeof payload === 'object')
          this.#answers.push({ reply, payload });
        queueMicrotask(() => this.#deliver());
      },
      subscribe: (_, { callback }) => {
        this.#take ??= (subject, data) =>
          callback(null, { subject, data, respond: () => false, json: () => assert.fail() });
        return { unsubscribe: () => {} };
      },
      request: () => Promise.reject(new Error('nobody listens')),
      flush: () => this.#flush(() => this.isAnswering),
    };
  }

  #newLink(): CheckedLink & { receivedBytes: number; backlogBytes: number } {
    return {
      maxPayload: 1 << 20,
      isCongested: false,
      backlogBytes: 0,
      receivedBytes: 0,
      pulse: this.#pulse,
      subscribe: (subject) => {
        if (this.refused?.test(subject) === true) this.onRefused(subject);
        return 1;
      },
      unsubscribe: () => {},
      takeBuffer: () => new OutBuffer(),
      send: () => {},
      flush: () => this.#flush(() => this.isAnswering && this.isLinkAnswering),
    };
  }
}

function newBroker(): CheckedBroker {
  const importedAckInboxes = { has: (subject: string) => subject.startsWith('_INBOX.imported-') };
  return { isDraining: false, store: { committed: 0, touch: () => {} }, importedAckInboxes };
}

function textOf({ problem }: SelfCheck): string {
  return problem?.text ?? '';
}

interface Checked {
  readonly nats: Nats;
  readonly check: SelfCheck;
  readonly log: LogLines;
  pass(seconds: number): Promise<void>;
}

async function start(): Promise<Checked> {
  const clock = new ManualClock();
  const log = new LogLines();
  const nats = new Nats();
  const check = new SelfCheck({
    ...{ clock, log, clusterId: 'c', subjects: SUBJECTS, probe: new Probe(randomBytes) },
    connections: {
      get control() {
        return nats.control;
      },
      get link() {
        return nats.link;
      },
      server: 'n:4222',
      renewLink: (why) => nats.renewLink(why),
      renewControl: () => assert.fail('nothing was refused'),
    },
    ackSubject: () => ACKS,
    serving: () => nats.broker,
    onBroken: (thrown) => {
      throw thrown;
    },
  });
  await check.start();
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 1; second <= seconds; second++) {
      clock.advance(1_000);
      await settled();
    }
  };
  await pass(3);
  assert.equal(check.problem, undefined);
  return { nats, check, log, pass };
}

describe('The rounds of the self-check', () => {
  it('say nothing while the NATS server stands still, and when it goes on', async () => {
    const { nats, check, pass } = await start();
    nats.isAnswering = false;
    await pass(60);
    nats.goOn();
    await pass(10);
    assert.equal(check.problem, undefined);
    assert.deepEqual(nats.renewals, []);
  });

  it('say nothing while the link alone stands still', async () => {
    const { nats, check, pass } = await start();
    nats.isLinkAnswering = false;
    await pass(30);
    nats.goOn();
    await pass(10);
    assert.equal(check.problem, undefined);
    assert.deepEqual(nats.renewals, []);
  });

  it('keep what was not heard over new links until it is heard, and make those ever more rarely', async () => {
    const { nats, check, log, pass } = await start();
    nats.lost = /^_STAN\.pub\./;
    await pass(10);
    assert.match(check.problem?.text ?? '', /does not come back on _STAN\.pub\.c\.>/);
    assert.equal(check.problem?.isOwn, true, 'a new link has not helped');
    await pass(600);
    const { length } = nats.renewals;
    assert.ok(length >= 5 && length <= 15, `${length} new links in 10 minutes`);
    assert.deepEqual(log.matching(/again/), []);
    assert.equal(log.all.length, 1, log.all.join('\n'));
    nats.lost = undefined;
    await pass(3);
    assert.equal(check.problem, undefined);
    assert.equal(log.matching(/clients are heard through NATS again/).length, 1);
  });

  it('count against one that has handed over, so that it does not get the group back at once', async () => {
    const { nats, check, pass } = await start();
    nats.lost = /^_STAN\.pub\./;
    await pass(10);
    nats.broker = undefined;
    await pass(20);
    assert.match(check.problem?.text ?? '', /did not come back when it served last on _STAN\.pub\.c\.>/);
    assert.equal(check.problem?.isOwn, true);
    await pass(15);
    assert.equal(check.problem, undefined, 'it may be well by now: only serving can show it');
    nats.broker = newBroker();
    await pass(10);
    nats.broker = undefined;
    await pass(35);
    assert.notEqual(check.problem, undefined, 'longer, the second time');
    // Nobody else serves, and it has to.
    nats.broker = newBroker();
    nats.lost = undefined;
    await pass(1);
    assert.equal(check.problem, undefined, 'another term is not judged by the one before');
  });

  it('report imported ack inboxes that NATS refuses, as no fault of this member, until they are permitted', async () => {
    const { nats, check, log, pass } = await start();
    nats.refused = /^_INBOX\.imported-/;
    nats.onRefused = (subject) =>
      check.refused({ connection: 'data link', operation: 'subscribe', subject, text: 'refused' });
    for (let i = 0; i < 1000; i++) nats.onRefused(`_INBOX.imported-${i}`);
    await settled();
    assert.match(
      check.problem?.text ?? '',
      /acks of imported subscriptions are not heard.*subscribe "_INBOX\.>"/,
    );
    assert.deepEqual([check.problem?.kind, check.problem?.isOwn], ['refused', false]);
    await pass(20);
    assert.notEqual(check.problem, undefined);
    assert.equal(log.all.length, 1, log.all.join('\n'));
    assert.deepEqual(nats.renewals, []);
    nats.refused = /^_INBOX\.imported-5$/;
    await pass(20);
    assert.notEqual(check.problem, undefined, 'some are permitted, and not all');
    assert.deepEqual(nats.renewals, []);
    nats.refused = undefined;
    await pass(3);
    assert.equal(check.problem, undefined);
    assert.deepEqual(nats.renewals, ['NATS permits again what it had refused']);
    nats.onRefused('_INBOX.of-another');
    await pass(3);
    assert.equal(check.problem, undefined);
  });

  it('report imported ack inboxes that are refused before the broker serves, as soon as it does', async () => {
    const { nats, check, pass } = await start();
    nats.broker = undefined;
    nats.refused = /^_INBOX\.imported-/;
    nats.onRefused = (subject) =>
      check.refused({ connection: 'data link', operation: 'subscribe', subject, text: 'refused' });
    nats.onRefused('_INBOX.imported-1');
    nats.onRefused('_INBOX.of-another');
    await pass(1);
    assert.equal(check.problem, undefined);
    nats.broker = newBroker();
    await pass(1);
    assert.match(textOf(check), /acks of imported subscriptions/);
  });

  it('do not count against a broker that ends', async () => {
    const { nats, check, pass } = await start();
    nats.lost = /./;
    nats.broker = { ...newBroker(), isDraining: true };
    await pass(20);
    assert.equal(check.problem, undefined);
    assert.deepEqual(nats.renewals, []);
  });
});
