import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { CheckedControl, CheckedLink } from '../../../src/broker/check/checked.js';
import { LinkWatch } from '../../../src/broker/check/link-watch.js';
import { OutBuffer } from '../../../src/link/writer.js';
import { ManualClock } from '../../clock/manual-clock.js';

/** Both connections to a server, and what is asked of them. */
class World {
  readonly clock = new ManualClock();
  /** Whether the server answers there. */
  isControlAnswered = true;
  isLinkAnswered = true;
  /** Whether a mark comes in on the link, as it does where a broker serves. */
  isMarked = true;
  /** In a millisecond. */
  bytesIn = 0;
  bytesOut = 0;
  owedBytes = 0;
  readonly asked: string[] = [];
  readonly watch: LinkWatch;
  #received = 0;
  #answered = 0;
  #answeredMs = 0;
  readonly #flushes: (() => void)[] = [];

  constructor() {
    const world = this;
    const link: CheckedLink = {
      ...{ maxPayload: 1 << 20, isCongested: false, backlogBytes: 0 },
      get receivedBytes() {
        return world.#received;
      },
      pulse: {
        get lateMs() {
          return world.clock.monotonicMs() - world.#answeredMs;
        },
        get answeredBytes() {
          return world.#answered;
        },
        get owedBytes() {
          return world.owedBytes;
        },
      },
      subscribe: () => 1,
      unsubscribe: () => {},
      takeBuffer: () => new OutBuffer(),
      send: () => {},
      flush: () => Promise.resolve(),
    };
    const control: CheckedControl = {
      isClosed: () => false,
      publish: () => {},
      subscribe: () => ({ unsubscribe: () => {} }),
      request: () => Promise.reject(new Error('no responder')),
      flush: () =>
        this.isControlAnswered ? Promise.resolve() : new Promise((resolve) => this.#flushes.push(resolve)),
    };
    this.watch = new LinkWatch({
      clock: this.clock,
      connections: {
        ...{ control, link, server: 'n:4222' },
        renewLink: (why) => {
          this.asked.push(`link: ${why}`);
          this.#answeredMs = this.clock.monotonicMs();
        },
        renewControl: (why) => this.asked.push(`control: ${why}`),
        doubtServer: () => this.asked.push('server'),
      },
      mark: (name) => this.isMarked && this.watch.marked(name),
      onChanged: () => {},
    });
    this.watch.start();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      if (this.isLinkAnswered) this.#answeredMs = this.clock.monotonicMs() + 50;
      this.#received += 50 * this.bytesIn;
      this.#answered += 50 * this.bytesOut;
      this.clock.advance(50);
      if (this.isControlAnswered) for (const answer of this.#flushes.splice(0)) answer();
      await settled();
    }
  }
}

describe('the watch of a link', () => {
  it('leaves one alone that is answered', async () => {
    const world = new World();
    await world.pass(60_000);
    assert.deepEqual(world.asked, []);
  });

  it('gives up one within 2 s that is heard and not answered, however many bytes come', async () => {
    const world = new World();
    world.bytesIn = 100_000;
    await world.pass(1_000);
    world.isLinkAnswered = false;
    await world.pass(2_000);
    assert.match(
      world.asked.join(),
      /^link: what is sent there does not arrive: .* for 1\d{3} ms, though it answers/,
    );
  });

  it('gives up one within 2 s that brings next to nothing', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, isMarked: false, bytesIn: 0.1 });
    await world.pass(2_000);
    assert.match(world.asked.join(), /^link: it has stopped carrying: /);
  });

  it('keeps one whose answers are behind a long queue that keeps coming', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, isMarked: false, bytesIn: 100 });
    await world.pass(20_000);
    assert.deepEqual(world.asked, []);
    world.bytesIn = 0;
    await world.pass(1_000);
    assert.equal(world.asked.length, 1);
  });

  it('keeps one whose server reads a long queue, with each answer late', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, bytesOut: 100 });
    await world.pass(20_000);
    assert.deepEqual(world.asked, []);
  });

  it('gives a server time to read a large message', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, owedBytes: 9 * 1024 * 1024 });
    await world.pass(9_000);
    assert.deepEqual(world.asked, []);
    await world.pass(1_000);
    assert.equal(world.asked.length, 1);
  });

  it('doubts a server, now and then, that answers nowhere', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, isControlAnswered: false });
    await world.pass(2_000);
    assert.match(world.asked.join(), /^server/);
    await world.pass(10_000);
    assert.ok(world.asked.length >= 2 && world.asked.length <= 3, world.asked.join());
  });

  it('leaves the link of a server that goes on after a pause, and answers on the control connection first', async () => {
    const world = new World();
    Object.assign(world, { isLinkAnswered: false, isControlAnswered: false });
    await world.pass(2_150);
    world.isControlAnswered = true;
    await world.pass(100);
    world.isLinkAnswered = true;
    await world.pass(5_000);
    assert.deepEqual(world.asked, ['server']);
  });

  it('replaces the control connection alone if the link is answered', async () => {
    const world = new World();
    world.isControlAnswered = false;
    await world.pass(2_250);
    assert.match(world.asked.join(), /^control: /);
  });

  it('doubts a server that answers nowhere as soon as ever, also where it has just replaced the control connection', async () => {
    const world = new World();
    world.isControlAnswered = false;
    await world.pass(2_000);
    assert.equal(world.asked.length, 1, world.asked.join());
    world.isLinkAnswered = false;
    await world.pass(2_000);
    assert.equal(world.asked.length, 2, world.asked.join());
  });

  it('does not take the pause of its own process for silence', async () => {
    const world = new World();
    await world.pass(1_000);
    world.clock.freeze(60_000);
    await world.pass(5_000);
    assert.deepEqual(world.asked, []);
  });

  it('names a problem when three die within a minute, until a minute after the last', async () => {
    const world = new World();
    world.isLinkAnswered = false;
    await world.pass(3_000);
    assert.equal(world.watch.problem, undefined);
    await world.pass(2_000);
    assert.match(
      world.watch.problem ?? '',
      /3 data links to the NATS server at n:4222 have stopped carrying/,
    );
    world.isLinkAnswered = true;
    await world.pass(61_000);
    assert.equal(world.watch.problem, undefined);
  });
});
