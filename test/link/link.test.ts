import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as written } from 'node:timers/promises';
import fc from 'fast-check';
import { LinkDownError } from '../../src/link/link-options.js';
import { OutBuffer } from '../../src/link/writer.js';
import { ManualClock } from '../clock/manual-clock.js';
import { waitFor } from '../harness/wait.js';
import { Inbox, publish } from './inbox.js';
import { INFO, type ScriptedClient, ScriptedServer } from './scripted-server.js';

/** Lets time pass in steps, so that what is written at each of them is taken. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    clock.advance(50);
    await written();
  }
}

describe('the link, with a server that is played by hand', () => {
  let server: ScriptedServer | undefined;

  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  async function linked(info: object = INFO, options = {}) {
    const inbox = new Inbox();
    const [scripted, arrived] = await ScriptedServer.welcoming(info);
    server = scripted;
    const link = await inbox.link({ port: scripted.port }, options);
    return { inbox, link, client: await arrived };
  }

  it('logs in with what the INFO asks for', async () => {
    let client: ScriptedClient | undefined;
    server = await ScriptedServer.start((arrived) => {
      client = arrived;
      arrived.say(`INFO ${JSON.stringify({ ...INFO, nonce: 'abc' })}\r\n`);
    });
    const connecting = new Inbox().link({
      port: server.port,
      connectFields: (info) => ({ name: 'stan', sig: `signed ${info.nonce}` }),
    });
    await waitFor(() => client !== undefined, 'the client connects');
    assert.ok(client !== undefined);
    const line = (await client.until('PING\r\n')).split('\r\n')[0]!;
    assert.deepEqual(JSON.parse(line.replace('CONNECT ', '')), {
      verbose: false,
      pedantic: false,
      lang: 'node',
      version: '0',
      protocol: 1,
      headers: true,
      no_responders: false,
      echo: true,
      tls_required: false,
      name: 'stan',
      sig: 'signed abc',
    });
    client.say('PONG\r\n');
    const link = await connecting;
    assert.equal(link.maxPayload, 1_048_576);
    assert.equal(link.serverInfo.serverId, 'SCRIPTED');
    link.close();
  });

  it('subscribes, with and without a queue, and unsubscribes', async () => {
    const { link, client } = await linked();
    assert.equal(link.subscribe('a.>'), 1);
    assert.equal(link.subscribe('b', 'q'), 2);
    link.unsubscribe(1);
    assert.equal(await client.until('UNSUB 1\r\n'), 'SUB a.> 1\r\nSUB b q 2\r\nUNSUB 1\r\n');
    assert.throws(() => link.subscribe('a b'), /"a b" is not a NATS subject/);
    assert.throws(() => link.subscribe('a', 'q\r\n'), /is not a NATS queue/);
    link.close();
  });

  it('answers the server’s PING, in mid-stream', async () => {
    const { inbox, link, client } = await linked();
    client.say('MSG a 1 1\r\nx\r\nPING\r\nMSG a 1 1\r\ny\r\n');
    await client.until('PONG\r\n');
    await inbox.until(() => inbox.messages.length === 2);
    link.close();
  });

  it('takes a new INFO in mid-stream: limits, and lame-duck mode', async () => {
    const { inbox, link, client } = await linked();
    client.say(
      `MSG a 1 1\r\nx\r\nINFO ${JSON.stringify({ ...INFO, max_payload: 99, ldm: true, connect_urls: ['h:1', 'h:2'] })}\r\n`,
    );
    await inbox.until(() => inbox.infos === 1);
    assert.equal(inbox.lameDuck, true);
    assert.equal(link.maxPayload, 99);
    assert.deepEqual(link.serverInfo.connectUrls, ['h:1', 'h:2']);
    assert.ok(link.isUp);
    link.close();
  });

  it('ends the batch once per read', async () => {
    const { inbox, link, client } = await linked();
    client.say('MSG a 1 1\r\nx\r\n'.repeat(100));
    await inbox.until(() => inbox.messages.length === 100);
    assert.equal(inbox.batches, 1);
    link.close();
  });

  it('reports an -ERR that leaves the connection open, and goes on', async () => {
    const { inbox, link, client } = await linked();
    client.say('-ERR \'Permissions Violation for Subscription to "a"\'\r\nMSG b 1 1\r\nx\r\n');
    await inbox.until(() => inbox.messages.length === 1);
    assert.deepEqual(inbox.serverErrors, ['Permissions Violation for Subscription to "a"']);
    assert.ok(link.isUp);
    link.close();
  });

  it('gives the last -ERR as the reason when the server closes then', async () => {
    const { inbox, link, client } = await linked();
    client.say("-ERR 'Stale Connection'\r\n");
    client.socket.end();
    assert.equal(await inbox.down(), 'Stale Connection');
    assert.equal(link.isUp, false);
  });

  it('goes down once when the server dies between two bytes of a message', async () => {
    for (const part of ['M', 'MSG a', 'MSG a 1 5\r', 'MSG a 1 5\r\nhe', 'MSG a 1 5\r\nhello\r']) {
      const { inbox, client } = await linked();
      client.say(part);
      client.socket.destroySoon();
      assert.equal(await inbox.down(), 'the server closed the connection');
      assert.deepEqual([inbox.messages.length, inbox.downReasons.length], [0, 1], part);
      await server!.stop();
    }
    server = undefined;
  });

  it('goes down with a reason when the server speaks something else, and takes nothing after it', async () => {
    const { inbox, client } = await linked();
    client.say('MSG a 1 1\r\nx\r\n220 smtp ready\r\nMSG a 1 1\r\nx\r\n');
    assert.match(await inbox.down(), /not the NATS client protocol: "220 smtp ready/);
    assert.equal(inbox.messages.length, 1);
  });

  it('drops a message that exceeds max_payload, which another server of the cluster may allow, and goes on', async () => {
    const { inbox, client } = await linked({ ...INFO, max_payload: 1_000 });
    client.say(`MSG a 1 1\r\nx\r\nMSG a 1 100000\r\n${'y'.repeat(60_000)}`);
    await inbox.until(() => inbox.messages.length === 1);
    client.say(`${'y'.repeat(40_000)}\r\nMSG a 1 1\r\nz\r\n`);
    await inbox.until(() => inbox.messages.length === 2);
    assert.match(inbox.serverErrors.join(), /100000 bytes, more than its max_payload of 1000/);
  });

  it('stands any bytes after the login', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const { inbox, client } = await linked();
        client.say(Buffer.from(bytes));
        client.socket.end();
        await inbox.down();
        await server!.stop();
      }),
      { numRuns: 30 },
    );
    server = undefined;
  });

  describe('connecting', () => {
    const refusals: [string, string | undefined, RegExp][] = [
      [
        'an -ERR instead of the PONG',
        `INFO ${JSON.stringify(INFO)}\r\n-ERR 'Authorization Violation'\r\n`,
        /refused: Authorization Violation/,
      ],
      ['no INFO at all', '+OK\r\nHTTP/1.0 400\r\n', /not the NATS client protocol/],
      ['an INFO that is not JSON', 'INFO {"max_payload":\r\n', /INFO of the server is not JSON/],
      ['an INFO without max_payload', 'INFO {}\r\n', /no usable max_payload/],
      ['silence', undefined, /no answer within 50 ms/],
    ];
    for (const [what, bytes, reason] of refusals) {
      it(`fails on ${what}`, async () => {
        server = await ScriptedServer.start((client) => bytes && client.say(bytes));
        const inbox = new Inbox();
        await assert.rejects(
          inbox.link({ port: server.port, connectTimeoutMs: bytes ? 5_000 : 50 }),
          (error: Error) => reason.test(error.message) && error.message.includes(`127.0.0.1:${server!.port}`),
        );
        assert.deepEqual(inbox.downReasons, []);
      });
    }

    it('fails when the server closes at once, and when there is none', async () => {
      server = await ScriptedServer.start((client) => client.socket.destroy());
      const { port } = server;
      await assert.rejects(new Inbox().link({ port }), /cannot connect .*(closed the connection|ECONNRESET)/);
      await server.stop();
      server = undefined;
      await assert.rejects(new Inbox().link({ port }), /ECONNREFUSED/);
    });

    it('is given up by a signal, before the server has said anything and after', async () => {
      for (const said of ['', `INFO ${JSON.stringify(INFO)}\r\n`]) {
        const given = new AbortController();
        let closed: Promise<unknown> | undefined;
        const scripted = await ScriptedServer.start((client) => {
          closed = once(client.socket, 'close');
          if (said !== '') client.say(said);
          void (said === '' ? Promise.resolve() : client.until('PING\r\n')).then(() => given.abort());
        });
        const inbox = new Inbox();
        await assert.rejects(
          inbox.link({ port: scripted.port, connectTimeoutMs: 60_000 }, { signal: given.signal }),
          /cannot connect .*given up/,
        );
        await closed;
        assert.deepEqual(inbox.downReasons, []);
        await scripted.stop();
      }
    });

    it('does not send credentials without TLS when TLS is wanted', async () => {
      let client: ScriptedClient | undefined;
      server = await ScriptedServer.start((arrived) => {
        client = arrived;
        arrived.say(`INFO ${JSON.stringify(INFO)}\r\n`);
      });
      await assert.rejects(
        new Inbox().link({ port: server.port, tls: {} }),
        /TLS is required, and the server has none/,
      );
      assert.equal(client!.received, '');
    });

    it('does not trust what comes between INFO and TLS', async () => {
      server = await ScriptedServer.start((client) =>
        client.say(`INFO ${JSON.stringify({ ...INFO, tls_required: true })}\r\nPING\r\n`),
      );
      await assert.rejects(
        new Inbox().link({ port: server.port, tls: {} }),
        /did not begin with one line of INFO/,
      );
    });
  });

  describe('flush', () => {
    it('resolves with its own PONG, in order', async () => {
      const { link, client } = await linked();
      const done: string[] = [];
      const both = Promise.all([
        link.flush().then(() => done.push('a')),
        link.flush().then(() => done.push('b')),
      ]);
      await client.until('PING\r\nPING\r\n');
      assert.deepEqual(done, []);
      client.say('PONG\r\nPONG\r\n');
      await both;
      assert.deepEqual(done, ['a', 'b']);
      link.close();
    });

    it('is rejected when the link goes down, and afterwards', async () => {
      const { link, client } = await linked();
      const flushed = link.flush();
      await client.until('PING\r\n');
      client.socket.destroy();
      await assert.rejects(flushed, LinkDownError);
      await assert.rejects(link.flush(), LinkDownError);
    });
  });

  describe('a server that has died silently', () => {
    it('is found out after two PINGs without any answer', async () => {
      const clock = new ManualClock();
      const { inbox, client } = await linked(INFO, { clock, pingIntervalMs: 1_000 });
      await pass(clock, 1_000);
      await client.until('PING\r\n');
      await pass(clock, 1_000);
      await client.until('PING\r\n');
      assert.deepEqual(inbox.downReasons, []);
      await pass(clock, 1_000);
      assert.match(await inbox.down(), /silent for 2000 ms/);
    });

    it('is found out after six PINGs without a PONG, whatever else it sends', async () => {
      const clock = new ManualClock();
      const { inbox, client } = await linked(INFO, { clock, pingIntervalMs: 1_000 });
      for (let i = 1; i <= 6; i++) {
        await pass(clock, 1_000);
        await client.until('PING\r\n');
        client.say('MSG a 1 1\r\nx\r\n');
        await inbox.until(() => inbox.messages.length === i);
      }
      assert.deepEqual(inbox.downReasons, []);
      await pass(clock, 1_000);
      assert.match(await inbox.down(), /sends messages, but has answered no ping for 6000 ms/);
    });

    it('is not one that answers now and then, and sends messages', async () => {
      const clock = new ManualClock();
      const { inbox, link, client } = await linked(INFO, { clock, pingIntervalMs: 1_000 });
      for (let i = 1; i <= 15; i++) {
        await pass(clock, 1_000);
        await client.until('PING\r\n');
        if (i % 5 === 0) client.say('PONG\r\n');
        client.say('MSG a 1 1\r\nx\r\n');
        await inbox.until(() => inbox.messages.length === i);
      }
      assert.ok(link.isUp);
      link.close();
    });

    it('is not one that still sends messages', async () => {
      const clock = new ManualClock();
      const { inbox, link, client } = await linked(INFO, { clock, pingIntervalMs: 1_000 });
      for (let i = 1; i <= 5; i++) {
        await pass(clock, 1_000);
        await client.until('PING\r\n');
        client.say('MSG a 1 1\r\nx\r\n');
        await inbox.until(() => inbox.messages.length === i);
      }
      assert.ok(link.isUp);
      link.close();
    });
  });

  describe('sending', () => {
    it('joins what is sent in one turn behind the first write, in order', async () => {
      const { link, client } = await linked();
      const chunks: string[] = [];
      client.socket.on('data', (chunk) => chunks.push(chunk.toString()));
      for (let i = 0; i < 50; i++) publish(link, 'a', String(i));
      const all = await client.until('PUB a 2\r\n49\r\n');
      assert.deepEqual(
        [...all.matchAll(/\r\n(\d+)\r\n/g)].map((match) => Number(match[1])),
        Array.from({ length: 50 }, (_, i) => i),
      );
      assert.ok(chunks.length <= 2);
      link.close();
    });

    it('uses its buffers again once they are written', async () => {
      const { link, client } = await linked();
      const seen = new Set<OutBuffer>();
      for (let i = 0; i < 20; i++) {
        const out = link.takeBuffer();
        seen.add(out);
        assert.equal(out.length, 0);
        out.ascii(`PUB a 0\r\n\r\n`);
        link.send(out);
        await client.until('PUB a 0\r\n\r\n');
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(seen.size <= 2, `${seen.size} buffers`);
      link.close();
    });

    it('counts what the server does not take, says so, and says when it has drained', async () => {
      const { inbox, link, client } = await linked(INFO, { congestedBytes: 4_000_000 });
      client.socket.pause();
      const payload = Buffer.alloc(1_000_000);
      let sent = 0;
      while (!link.isCongested) {
        publish(link, 'a', payload);
        sent++;
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(sent < 200);
      }
      assert.ok(link.backlogBytes >= 4_000_000);
      assert.equal(inbox.drains, 0);
      client.socket.resume();
      await inbox.until(() => inbox.drains === 1);
      assert.ok(link.backlogBytes < 2_000_000);
      assert.equal(link.isCongested, false);
      link.close();
      assert.equal(link.backlogBytes, 0);
    });

    it('goes down when the backlog has no end', async () => {
      const { inbox, link, client } = await linked(INFO, {
        congestedBytes: 1_000_000,
        maxBacklogBytes: 5_000_000,
      });
      client.socket.pause();
      const payload = Buffer.alloc(1_000_000);
      for (let i = 0; i < 200 && link.isUp; i++) {
        publish(link, 'a', payload);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.match(await inbox.down(), /does not read what it is sent/);
    });

    it('drops what comes after the link is down, and what another link’s buffer holds', async () => {
      const first = await linked();
      const late = first.link.takeBuffer();
      late.ascii('PUB late 0\r\n\r\n');
      const alsoLate = first.link.takeBuffer();
      alsoLate.ascii('PUB late 0\r\n\r\n');
      first.client.socket.destroy();
      await first.inbox.down();
      first.link.send(late);
      publish(first.link, 'late', 'x');
      first.link.subscribe('late');
      assert.equal(first.link.backlogBytes, 0);
      await server!.stop();

      const second = await linked();
      second.link.send(alsoLate);
      second.link.send(new OutBuffer());
      publish(second.link, 'a', 'x');
      assert.equal(await second.client.until('x\r\n'), 'PUB a 1\r\nx\r\n');
      second.link.close();
    });

    it('does not call onDown for its own close', async () => {
      const { inbox, link, client } = await linked();
      link.close();
      link.close();
      await new Promise<void>((resolve) => {
        if (client.socket.destroyed) resolve();
        else client.socket.on('close', () => resolve());
      });
      assert.deepEqual(inbox.downReasons, []);
      assert.equal(link.isUp, false);
    });
  });
});
