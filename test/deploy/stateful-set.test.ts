import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type StanConnection } from '../../src/index.js';
import { NatsServer } from '../harness/nats-server.js';
import { waitFor } from '../harness/wait.js';
import { Pod, podTemplate } from './pod.js';

const CHANNEL = 'orders';
/** Generous, since a busy machine is slow; what it took is printed. */
const MAX_OUTAGE_MS = 10_000;
const LONG_MS = 60_000;

/** One message after the other, so that the longest wait for an ack is the outage. */
class Load {
  readonly acked: string[] = [];
  failures = 0;
  #isStopping = false;
  #longestMs = 0;
  #sinceMs = performance.now();
  readonly #done: Promise<void>;

  constructor(connection: StanConnection) {
    this.#done = this.#run(connection);
  }

  /** Longest time without an ack since the last call. */
  takeLongestMs(): number {
    const longestMs = Math.round(this.#longestMs);
    this.#longestMs = 0;
    return longestMs;
  }

  async waitForMore(): Promise<void> {
    const target = this.acked.length + 50;
    await waitFor(() => this.acked.length >= target, 'messages are acknowledged', LONG_MS);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#done;
  }

  async #run(connection: StanConnection): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const text = `message ${i}`;
      try {
        await connection.publish(CHANNEL, text);
        this.acked.push(text);
      } catch {
        this.failures++;
      }
      const nowMs = performance.now();
      this.#longestMs = Math.max(this.#longestMs, nowMs - this.#sinceMs);
      this.#sinceMs = nowMs;
      // The pace of the load, as docs/upgrade.md has it.
      await sleep(2);
    }
  }
}

describe('the pods of the StatefulSet, as processes of this machine', () => {
  const template = podTemplate();
  const pods: Pod[] = [];
  let folder: string;
  let nats: NatsServer;
  let connection: StanConnection;
  let load: Load;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-pods-'));
    nats = await NatsServer.start();
    for (let i = 0; i < template.replicas; i++) pods.push(new Pod(template, i, folder, nats.url));
    await Promise.all(pods.map((pod) => pod.start()));
    await Promise.all(pods.map((pod) => pod.waitReady()));
    connection = await connect({
      servers: nats.url,
      clusterId: 'test-cluster',
      clientId: 'load',
      connectTimeout: 10_000,
    });
    load = new Load(connection);
    await load.waitForMore();
  });

  after(async () => {
    await load?.stop();
    await connection?.close().catch(() => {});
    for (const pod of pods) await pod.kill();
    await nats?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function active(): Promise<Pod> {
    let found: Pod | undefined;
    await waitFor(
      async () => {
        for (const pod of pods) if (await pod.isActive()) found = pod;
        return found !== undefined;
      },
      'one is active',
      LONG_MS,
    );
    return found!;
  }

  it('are all ready, one of them active', async () => {
    assert.ok(pods.every(({ isReady }) => isReady));
    const states = await Promise.all(pods.map((pod) => pod.isActive()));
    assert.equal(states.filter((isActive) => isActive).length, 1);
  });

  it('are rolled one by one, each within its grace, and publishers only wait', async (t) => {
    t.diagnostic(`before: ${load.takeLongestMs()} ms at most without an ack`);
    for (const pod of pods.toReversed()) {
      const was = (await pod.isActive()) ? 'active' : 'standby';
      assert.equal(await pod.terminate(), 0, `${pod.name} ends by itself; it said:\n${pod.output}`);
      await pod.start();
      await pod.waitReady();
      await load.waitForMore();
      const outageMs = load.takeLongestMs();
      t.diagnostic(`SIGTERM to ${pod.name} (${was}): ${outageMs} ms at most without an ack`);
      assert.ok(outageMs < MAX_OUTAGE_MS);
    }
    assert.equal(load.failures, 0);
  });

  it('go on when the active is evicted without a word', async (t) => {
    const pod = await active();
    load.takeLongestMs();
    await pod.kill();
    await load.waitForMore();
    await pod.start();
    await pod.waitReady();
    const outageMs = load.takeLongestMs();
    t.diagnostic(`SIGKILL to ${pod.name} (active): ${outageMs} ms at most without an ack`);
    assert.ok(outageMs < MAX_OUTAGE_MS);
    assert.equal(load.failures, 0);
  });

  it('have every acknowledged message, once, in its order', async () => {
    await load.stop();
    const stored: string[] = [];
    const subscription = await connection.subscribe(CHANNEL, {
      startAt: 'all',
      callback: (error, message) => {
        if (error === undefined && !message.redelivered) stored.push(message.string());
      },
    });
    await waitFor(() => stored.length >= load.acked.length, 'all is read', LONG_MS);
    await subscription.close();
    assert.deepEqual(stored, load.acked);
  });

  it('are never restarted by their probes', () => {
    assert.deepEqual(
      pods.map(({ complaint }) => complaint),
      pods.map(() => ''),
    );
  });
});
