import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect, headers, type NatsConnection } from 'nats';
import { Certificates } from '../nats/certificates.js';
import { NatsProcess } from '../nats/nats-process.js';
import { Inbox, publish } from './inbox.js';

describe('the link, with a real nats-server', () => {
  let server: NatsProcess;

  before(async () => {
    server = await NatsProcess.start();
  });
  after(() => server.stop());

  it('gets what it publishes, in order, through a queue group and a wildcard', async () => {
    const inbox = new Inbox();
    const link = await inbox.link({ port: server.port });
    link.subscribe('a.*', 'q');
    for (let i = 0; i < 1_000; i++) publish(link, 'a.b', String(i));
    await inbox.until(() => inbox.messages.length === 1_000);
    assert.deepEqual(
      inbox.messages,
      Array.from({ length: 1_000 }, (_, i) => `1 a.b - ${i}`),
    );
    link.close();
  });

  it('hands over all that the server had sent before a flush resolves', async () => {
    const inbox = new Inbox();
    const link = await inbox.link({ port: server.port });
    link.subscribe('a');
    for (let i = 0; i < 100; i++) publish(link, 'a', 'x');
    await link.flush();
    assert.equal(inbox.messages.length, 100);
    link.close();
  });

  it('reads messages with headers and replies of the nats package', async () => {
    const nc: NatsConnection = await connect({ servers: server.url });
    const inbox = new Inbox();
    const link = await inbox.link({ port: server.port });
    link.subscribe('h');
    await link.flush();
    const h = headers();
    h.set('A', 'b');
    nc.publish('h', 'with headers', { headers: h, reply: 'r.1' });
    nc.publish('h', 'plain');
    await inbox.until(() => inbox.messages.length === 2);
    assert.deepEqual(inbox.messages, ['1 h r.1 with headers', '1 h - plain']);
    link.close();
    await nc.close();
  });

  it('carries messages of up to max_payload; the server cuts off what is more', async () => {
    const inbox = new Inbox();
    const link = await inbox.link({ port: server.port });
    link.subscribe('big');
    for (let i = 0; i < 5; i++) publish(link, 'big', Buffer.alloc(link.maxPayload, i));
    await inbox.until(() => inbox.messages.length === 5);
    assert.deepEqual(new Set(inbox.sizes), new Set([link.maxPayload]));
    publish(link, 'big', Buffer.alloc(link.maxPayload + 1));
    assert.match(await inbox.down(), /Maximum Payload Violation|ECONNRESET|EPIPE/);
  });

  it('connects by host name too', async () => {
    const link = await new Inbox().link({ port: server.port, host: 'localhost' });
    await link.flush();
    link.close();
  });

  it('hears of lame-duck mode while it is still connected', async () => {
    const dying = await NatsProcess.start({ config: 'lame_duck_grace_period: "25s"\n' });
    const inbox = new Inbox();
    const link = await inbox.link({ port: dying.port });
    dying.signal('SIGUSR2');
    await inbox.until(() => inbox.lameDuck);
    await link.flush();
    await dying.stop();
    await inbox.down();
  });

  it('is refused with wrong credentials', async () => {
    const guarded = await NatsProcess.start({ args: ['--user', 'u', '--pass', 'p'] });
    const target = { port: guarded.port, connectFields: () => ({ user: 'u', pass: 'wrong' }) };
    await assert.rejects(new Inbox().link(target), /refused: Authorization Violation/);
    const link = await new Inbox().link({ ...target, connectFields: () => ({ user: 'u', pass: 'p' }) });
    link.close();
    await guarded.stop();
  });
});

describe('the link, with TLS', () => {
  let certificates: Certificates;
  let server: NatsProcess | undefined;

  before(async () => {
    certificates = await Certificates.make();
  });
  after(() => certificates.remove());
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  const ca = () => readFileSync(certificates.file('ca.pem'));

  async function exchange(target: Parameters<Inbox['link']>[0]): Promise<void> {
    const inbox = new Inbox();
    const link = await inbox.link(target);
    link.subscribe('a');
    for (let i = 0; i < 300; i++) publish(link, 'a', Buffer.alloc(i * 100, 'x'));
    publish(link, 'a', Buffer.alloc(link.maxPayload));
    await inbox.until(() => inbox.messages.length === 301);
    assert.deepEqual(inbox.sizes, [...Array.from({ length: 300 }, (_, i) => i * 100), link.maxPayload]);
    link.close();
  }

  it('upgrades behind the INFO', async () => {
    server = await NatsProcess.start({ args: certificates.serverFlags });
    await exchange({ port: server.port, tls: { ca: ca() } });
    await exchange({ port: server.port, host: 'localhost', tls: { ca: ca() } });
  });

  it('shows its certificate to a server that verifies clients', async () => {
    server = await NatsProcess.start({
      args: [...certificates.serverFlags, '--tlsverify', '--tlscacert', certificates.file('ca.pem')],
    });
    const cert = readFileSync(certificates.file('client.pem'));
    const key = readFileSync(certificates.file('client-key.pem'));
    await exchange({ port: server.port, tls: { ca: ca(), cert, key } });
    await assert.rejects(new Inbox().link({ port: server.port, tls: { ca: ca() } }), /cannot connect/);
  });

  it('uses TLS when the server requires it, and trusts only known authorities', async () => {
    server = await NatsProcess.start({ args: certificates.serverFlags });
    await assert.rejects(new Inbox().link({ port: server.port }), /certificate/);
  });

  it('shakes hands first where the server wants that', async (t) => {
    const binary = process.env.STANCHION_TEST_NATS_SERVER ?? 'nats-server';
    const version = /v(\d+)\.(\d+)/.exec(spawnSync(binary, ['--version']).stdout.toString());
    if (!version || Number(version[1]) * 1_000 + Number(version[2]) < 2_010) {
      t.skip(
        `needs nats-server 2.10 or newer, this is ${version?.[0]}: name one in STANCHION_TEST_NATS_SERVER`,
      );
      return;
    }
    server = await NatsProcess.start({
      binary,
      config: `tls { cert_file: "${certificates.file('server.pem')}", key_file: "${certificates.file('server-key.pem')}", handshake_first: true }`,
    });
    await exchange({ port: server.port, tls: { ca: ca() }, tlsFirst: true });
  });
});
