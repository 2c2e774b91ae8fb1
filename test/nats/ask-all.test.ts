import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { askAll } from '../../src/nats/ask-all.js';
import { NatsProcess } from './nats-process.js';

describe('a question to all that listen', () => {
  let server: NatsProcess;
  let nats: NatsConnection;
  let others: NatsConnection;
  before(async () => {
    server = await NatsProcess.start();
    nats = await connect({ servers: server.url });
    others = await connect({ servers: server.url });
  });
  after(async () => {
    await Promise.all([nats.close(), others.close()]);
    await server.stop();
  });

  /** Has these answer. */
  async function listening(subject: string, names: readonly string[]): Promise<void> {
    for (const name of names)
      others.subscribe(subject, { callback: (_, message) => void message.respond(name) });
    await others.flush();
  }

  async function answers(subject: string, answerMs: number, enough = 99): Promise<string[]> {
    const found: string[] = [];
    const take = (data: Uint8Array): boolean => found.push(Buffer.from(data).toString()) >= enough;
    await askAll(nats, { subject, payload: Buffer.from('?'), answerMs, take });
    return found.sort();
  }

  it('brings the answers of all within the time', async () => {
    await listening('all', ['a', 'b', 'c']);
    assert.deepEqual(await answers('all', 200), ['a', 'b', 'c']);
  });

  it('brings what has come in while this process stood still for longer', async () => {
    for (const name of ['a', 'b']) {
      others.subscribe('busy', {
        callback: (_, message) => {
          message.respond(name);
          const untilMs = performance.now() + 100;
          while (performance.now() < untilMs);
        },
      });
    }
    await others.flush();
    assert.deepEqual(await answers('busy', 50), ['a', 'b']);
  });

  it('brings them though the NATS server stood still for longer before it had the question', async () => {
    await listening('stopped', ['a', 'b']);
    server.signal('SIGSTOP');
    const goesOn = sleep(300).then(() => server.signal('SIGCONT'));
    try {
      assert.deepEqual(await answers('stopped', 100), ['a', 'b']);
    } finally {
      await goesOn;
    }
  });

  it('ends at once where no one listens, and where the answers suffice', async () => {
    const startMs = performance.now();
    assert.deepEqual(await answers('nobody', 60_000), []);
    await listening('enough', ['a', 'b']);
    assert.equal((await answers('enough', 60_000, 1)).length, 1);
    assert.ok(performance.now() - startMs < 30_000);
  });

  it('is not ended by a program that answers with nothing', async () => {
    others.subscribe('empty', { callback: (_, message) => void message.respond() });
    await listening('empty', ['a', 'b']);
    assert.deepEqual(await answers('empty', 200), ['a', 'b']);
  });

  it('fails on a connection that is closed', async () => {
    const closed = await connect({ servers: server.url });
    await closed.close();
    const question = { subject: 'all', payload: Buffer.from('?'), answerMs: 60_000, take: () => false };
    await assert.rejects(askAll(closed, question));
  });
});
