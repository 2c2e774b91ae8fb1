import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { connect, nkeys } from 'nats';
import type { NatsConfig } from '../../src/config/serve-config.js';
import { silentLogger } from '../../src/log/logger.js';
import { NatsAttachment } from '../../src/nats/attachment.js';
import type { NatsAttachmentOptions } from '../../src/nats/attachment-options.js';
import type { ControlConnection } from '../../src/nats/control-connection.js';
import { NatsConfigError } from '../../src/nats/credentials.js';
import type { MovingLink } from '../../src/nats/moving-link.js';
import type { NatsRefusal } from '../../src/nats/refusal.js';
import { freePort } from '../harness/free-ports.js';
import { HoldingProxy } from '../harness/holding-proxy.js';
import { waitFor } from '../harness/wait.js';
import { Inbox, publish } from '../link/inbox.js';
import { Certificates } from './certificates.js';
import { accountJwt, operatorJwt, userJwt } from './nats-jwt.js';
import { NatsProcess } from './nats-process.js';

const NOTHING: NatsConfig = {
  servers: [],
  inOrder: false,
  user: undefined,
  pass: undefined,
  token: undefined,
  credsFile: undefined,
  nkeyFile: undefined,
  tls: undefined,
};

/** An attachment as the broker uses it: subscribes on each new link, and notes what happens. */
class Attached {
  readonly inbox = new Inbox();
  readonly downReasons: string[] = [];
  readonly links: MovingLink[] = [];
  readonly attachment: NatsAttachment;

  constructor(config: Partial<NatsConfig>, options: Partial<NatsAttachmentOptions> = {}) {
    this.attachment = new NatsAttachment({
      config: { ...NOTHING, ...config },
      name: 'test',
      version: '1.2.3',
      handler: this.inbox,
      logger: silentLogger,
      waitOnFirstConnect: false,
      onLinkUp: (link) => {
        link.subscribe('a');
        this.links.push(link);
        this.inbox.onBatchEnd();
      },
      onLinkDown: (reason) => {
        this.downReasons.push(reason);
        this.inbox.onBatchEnd();
      },
      ...options,
    });
  }

  /** Both connections work: a message goes round by each. */
  async works(): Promise<void> {
    const link = this.attachment.link!;
    const before = this.inbox.messages.length;
    publish(link, 'a', 'by link');
    await link.flush();
    this.attachment.control.publish('a', 'by control');
    await this.inbox.until(() => this.inbox.messages.length === before + 2);
    assert.deepEqual(this.inbox.messages.slice(before), ['1 a - by link', '1 a - by control']);
  }

  /** Waits for the n-th link. */
  async linked(count: number): Promise<MovingLink> {
    await this.inbox.until(() => this.links.length >= count);
    return this.links[count - 1]!;
  }
}

describe('the attachment to NATS', () => {
  const servers: NatsProcess[] = [];
  const attachments: NatsAttachment[] = [];
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-attach-'));
  });
  afterEach(async () => {
    for (const attachment of attachments.splice(0)) await attachment.close();
    for (const server of servers.splice(0)) await server.stop();
    await rm(dir, { recursive: true });
  });

  async function run(options: Parameters<typeof NatsProcess.start>[0] = {}): Promise<NatsProcess> {
    const server = await NatsProcess.start(options);
    servers.push(server);
    return server;
  }

  function attach(config: Partial<NatsConfig>, options: Partial<NatsAttachmentOptions> = {}): Attached {
    const attached = new Attached(config, options);
    attachments.push(attached.attachment);
    return attached;
  }

  async function file(name: string, text: string | Uint8Array): Promise<string> {
    const path = join(dir, name);
    await writeFile(path, text);
    return path;
  }

  describe('logs in on both connections', () => {
    it('without credentials', async () => {
      const attached = attach({ servers: [(await run()).url] });
      await attached.attachment.start();
      await attached.works();
    });

    it('with user and password', async () => {
      const server = await run({ args: ['--user', 'u', '--pass', 'p'] });
      const attached = attach({ servers: [server.url], user: 'u', pass: 'p' });
      await attached.attachment.start();
      await attached.works();
    });

    it('with a token', async () => {
      const server = await run({ args: ['--auth', 's3cret'] });
      const attached = attach({ servers: [server.url], token: 's3cret' });
      await attached.attachment.start();
      await attached.works();
    });

    it('with an nkey seed file', async () => {
      const user = nkeys.createUser();
      const server = await run({ config: `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }` });
      const seed = new TextDecoder().decode(user.getSeed());
      const attached = attach({
        servers: [server.url],
        nkeyFile: await file('user.nk', `# of the broker\n${seed}\n`),
      });
      await attached.attachment.start();
      await attached.works();
    });

    it('with a credentials file, at a server in operator mode', async () => {
      const operator = nkeys.createOperator();
      const account = nkeys.createAccount();
      const user = nkeys.createUser();
      const server = await run({
        config: `operator: "${operatorJwt(operator)}"
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: "${accountJwt(operator, account)}" }`,
      });
      const creds = `-----BEGIN NATS USER JWT-----\n${userJwt(account, user)}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${new TextDecoder().decode(user.getSeed())}\n------END USER NKEY SEED------\n`;
      const attached = attach({ servers: [server.url], credsFile: await file('user.creds', creds) });
      await attached.attachment.start();
      await attached.works();
    });
  });

  describe('with TLS', () => {
    let certificates: Certificates;
    before(async () => {
      certificates = await Certificates.make();
    });
    after(() => certificates.remove());

    const trusting = () => ({
      caFile: certificates.file('ca.pem'),
      certFile: undefined,
      keyFile: undefined,
      serverName: undefined,
      skipVerify: false,
    });

    it('trusts the named authority, for an address and a host name', async () => {
      const server = await run({ args: certificates.serverFlags });
      for (const host of ['127.0.0.1', 'localhost']) {
        const attached = attach({ servers: [`tls://${host}:${server.port}`], tls: trusting() });
        await attached.attachment.start();
        await attached.works();
      }
    });

    it('shows a client certificate', async () => {
      const server = await run({
        args: [...certificates.serverFlags, '--tlsverify', '--tlscacert', certificates.file('ca.pem')],
      });
      const certFile = certificates.file('client.pem');
      const keyFile = certificates.file('client-key.pem');
      const attached = attach({ servers: [server.url], tls: { ...trusting(), certFile, keyFile } });
      await attached.attachment.start();
      await attached.works();
    });

    it('takes any certificate if so configured, and none of an unknown authority otherwise', async () => {
      const server = await run({ args: certificates.serverFlags });
      const blind = attach({
        servers: [server.url],
        tls: { ...trusting(), caFile: undefined, skipVerify: true },
      });
      await blind.attachment.start();
      await blind.works();
      const strict = attach({ servers: [server.url], tls: { ...trusting(), caFile: undefined } });
      await assert.rejects(strict.attachment.start(), /cannot connect to NATS .*certificate/);
    });

    it('begins with it, at a server that does', async () => {
      const server = await run();
      const cert = await readFile(certificates.file('server.pem'));
      const key = await readFile(certificates.file('server-key.pem'));
      // Not every nats-server can.
      const front = tls.createServer({ cert, key }, (client) => {
        const behind = net.connect(server.port, '127.0.0.1');
        behind.once('data', (info) => {
          client.write(info.toString().replace('{', '{"tls_required":true,'));
          behind.pipe(client).pipe(behind);
        });
        for (const socket of [client, behind]) socket.on('error', () => {});
      });
      front.listen(0, '127.0.0.1');
      await once(front, 'listening');
      try {
        const { port } = front.address() as net.AddressInfo;
        for (const host of ['127.0.0.1', 'localhost']) {
          const attached = attach(
            { servers: [`tls://${host}:${port}`], tls: trusting() },
            { tlsFirst: true },
          );
          await attached.attachment.start();
          await attached.works();
          await attached.attachment.close();
        }
      } finally {
        front.close();
      }
    });

    it('refuses a server without TLS', async () => {
      const attached = attach({ servers: [(await run()).url], tls: trusting() });
      await assert.rejects(attached.attachment.start(), /cannot connect to NATS/);
    });
  });

  describe('says what is wrong', () => {
    it('with a file that is not there, or holds something else', async () => {
      const servers = ['nats://127.0.0.1:1'];
      const none = join(dir, 'none');
      const text = await file('text', 'hello');
      const wrong: [Partial<NatsConfig>, RegExp][] = [
        [{ credsFile: none }, /cannot read the credentials in .*none.*ENOENT/],
        [{ credsFile: text }, /text holds no usable credentials/],
        [{ nkeyFile: none }, /cannot read the nkey seed in .*none/],
        [{ nkeyFile: text }, /text holds no nkey seed/],
        [
          {
            tls: {
              caFile: none,
              certFile: undefined,
              keyFile: undefined,
              serverName: undefined,
              skipVerify: false,
            },
          },
          /cannot read the certificate authorities in .*none/,
        ],
      ];
      for (const [config, reason] of wrong) {
        assert.throws(
          () => new Attached({ servers, ...config }),
          (error) => error instanceof NatsConfigError && reason.test(error.message),
        );
      }
    });

    it('when there is no server, or it refuses the password', async () => {
      const nobody = attach({ servers: [`nats://127.0.0.1:${await freePort()}`] });
      await assert.rejects(
        nobody.attachment.start(),
        /cannot connect to NATS at nats:.*Is a nats-server running there/,
      );
      const server = await run({ args: ['--user', 'u', '--pass', 'p'] });
      const refused = attach({ servers: [server.url], user: 'u', pass: 'x' });
      await assert.rejects(refused.attachment.start(), /Authorization Violation/i);
    });
  });

  describe('lasts', () => {
    it('waits for the first server as long as it takes', async () => {
      const port = await freePort();
      const attached = attach({ servers: [`nats://127.0.0.1:${port}`] }, { waitOnFirstConnect: true });
      const started = attached.attachment.start();
      await run({ port });
      await started;
      await attached.works();
    });

    it('can be closed while it waits', async () => {
      const attached = attach(
        { servers: [`nats://127.0.0.1:${await freePort()}`] },
        { waitOnFirstConnect: true },
      );
      const started = attached.attachment.start();
      await attached.attachment.close();
      await started;
      assert.equal(attached.attachment.link, undefined);
    });

    it('is closed by the signal of its start while it waits, and not by one that comes later', async () => {
      const waiting = attach(
        { servers: [`nats://127.0.0.1:${await freePort()}`] },
        { waitOnFirstConnect: true },
      );
      const given = new AbortController();
      const started = waiting.attachment.start(given.signal);
      given.abort();
      await started;
      assert.equal(waiting.attachment.link, undefined);

      const { url } = await run();
      const attached = attach({ servers: [url] });
      const later = new AbortController();
      await attached.attachment.start(later.signal);
      later.abort();
      await attached.works();
    });

    it('comes back when the server is killed and restarted, with nothing of what waited', async () => {
      const server = await run();
      const attached = attach({ servers: [server.url] });
      await attached.attachment.start();
      await attached.works();
      const first = attached.attachment.link!;
      await server.stop();
      await attached.inbox.until(() => attached.downReasons.length === 1);
      assert.equal(attached.attachment.link, undefined);
      publish(first, 'a', 'late');

      await run({ port: server.port });
      const second = await attached.linked(2);
      assert.notEqual(second, first);
      await second.flush();
      await attached.works();
      assert.ok(!attached.inbox.messages.includes('1 a - late'));
    });

    it('makes a new link when only the link is cut', async () => {
      const server = await run({
        config:
          'system_account: S\naccounts: { S: { users: [ { user: s, password: s } ] }, A: { users: [ { user: a, password: a } ] } }',
      });
      const attached = attach({ servers: [server.url], user: 'a', pass: 'a' });
      await attached.attachment.start();
      // What a server does to a client that speaks too loudly.
      publish(attached.attachment.link!, 'a', Buffer.alloc(attached.attachment.link!.maxPayload + 1));
      await attached.linked(2);
      await attached.works();
      assert.equal(attached.downReasons.length, 1);
    });

    it('does not call onLinkDown when it is closed', async () => {
      const attached = attach({ servers: [(await run()).url] });
      await attached.attachment.start();
      await attached.attachment.close();
      await attached.attachment.close();
      assert.deepEqual(attached.downReasons, []);
      assert.equal(attached.attachment.link, undefined);
    });
  });

  describe('says what it is refused', () => {
    const users = (allowed: string) =>
      `authorization { users: [ { user: u, password: p, permissions: { publish: ["a", "_INBOX.>"], subscribe: ${allowed} } } ] }`;

    it('on either connection, and has all of it again when the permission is back', async () => {
      const server = await run({ config: users('["a", "b", "_INBOX.>"]') });
      const refused: NatsRefusal[] = [];
      const heard: string[] = [];
      const attached = attach(
        { servers: [server.url], user: 'u', pass: 'p' },
        {
          onRefused: (refusal) => {
            refused.push(refusal);
          },
          onControlUp: (control) => {
            control.subscribe('b', { callback: () => {} });
            control.subscribe('a', {
              callback: (error) => {
                if (error === null) heard.push('a');
              },
            });
          },
        },
      );
      const { attachment } = attached;
      await attachment.start();
      await attached.works();
      const old = attachment.control;
      assert.equal(refused.length, 0);

      await server.reload(users('["b", "_INBOX.>"]'));
      await waitFor(() => refused.length === 2, 'both connections are refused');
      const seen = refused.splice(0).sort((x, y) => x.connection.localeCompare(y.connection));
      assert.deepEqual(
        seen.map(({ connection, operation, subject }) => ({ connection, operation, subject })),
        [
          { connection: 'control', operation: 'subscribe', subject: 'a' },
          { connection: 'data link', operation: 'subscribe', subject: 'a' },
        ],
      );
      publish(attachment.link!, 'x', '');
      attachment.control.publish('y');
      await waitFor(() => refused.length === 2, 'both are told what they may not publish');
      assert.deepEqual(refused.map(({ operation, subject }) => `${operation} ${subject}`).sort(), [
        'publish x',
        'publish y',
      ]);

      await server.reload(users('["a", "b", "_INBOX.>"]'));
      heard.length = 0;
      attachment.renewLink('it is refused nothing any more');
      await attachment.renewControl('it is refused nothing any more');
      await attached.linked(2);
      assert.notEqual(attachment.control, old);
      await attachment.control.flush();
      await attached.works();
      await waitFor(() => heard.length === 2, 'the control connection has both messages');
      assert.deepEqual(attached.downReasons, ['it is refused nothing any more']);
    });
  });

  describe('with a dial that has timed out and comes up late', () => {
    const SHORT_MS = 500;
    const HERE = Buffer.from('here');
    let server: NatsProcess;
    let proxy: HoldingProxy;

    beforeEach(async () => {
      server = await run();
      proxy = await HoldingProxy.start(server.port);
    });
    afterEach(() => proxy.stop());

    function attachTo(servers: string[], options: Partial<NatsAttachmentOptions> = {}): Attached {
      return attach(
        { servers, inOrder: true },
        { connectTimeoutMs: SHORT_MS, waitOnFirstConnect: true, onControlUp: answering, ...options },
      );
    }

    const answering = (control: ControlConnection): void => {
      control.subscribe('question', { callback: (_, message) => void message.respond(HERE) });
    };

    /** The held dials come up and end: both connections stay, and a question on the control connection has one answer. */
    async function isUndisturbed(attached: Attached): Promise<void> {
      const { attachment, links } = attached;
      const { control } = attachment;
      const linkCount = links.length;
      const asker = await connect({ servers: server.url });
      try {
        let answers = 0;
        asker.subscribe('answer', { callback: () => void answers++ });
        await proxy.releaseAndEnd();
        asker.publish('question', undefined, { reply: 'answer' });
        await asker.flush();
        // The question comes in front of the first PONG, its answer leaves in front of the second PING.
        await control.flush();
        await control.flush();
        await asker.flush();
        await attached.works();
        assert.deepEqual(
          { isSame: attachment.control === control, answers, links: links.length },
          { isSame: true, answers: 1, links: linkCount },
        );
      } finally {
        await asker.close();
      }
    }

    it('stays at the server that it has found instead', async () => {
      proxy.hold(true);
      const attached = attachTo([proxy.url, server.url]);
      await attached.attachment.start();
      assert.ok(proxy.heldCount > 0);
      assert.equal(attached.attachment.server, `127.0.0.1:${server.port}`);
      await isUndisturbed(attached);
    });

    it('keeps the connection that came up instead, when it had lost the one before', async () => {
      const attached = attachTo([proxy.url]);
      await attached.attachment.start();
      proxy.hold(true);
      proxy.cut();
      // The link may have tried once, before it knew that the control connection was lost too.
      await waitFor(() => proxy.heldCount >= 3, 'a dial after one that has timed out');
      proxy.hold(false);
      await attached.linked(2);
      await isUndisturbed(attached);
    });

    it('does not keep it, also when TLS comes first', async () => {
      for (const tlsFirst of [false, true]) {
        proxy.hold(true);
        const attached = attachTo([proxy.url], { tlsFirst });
        const before = proxy.heldCount;
        const started = attached.attachment.start();
        await waitFor(() => proxy.heldCount === before + 3, 'dials after those that have timed out');
        await waitFor(() => proxy.openHeldCount <= 1, 'those that have timed out are closed');
        await attached.attachment.close();
        await started;
        await waitFor(() => proxy.openHeldCount === 0, 'all are closed');
      }
    });

    it('gives it up when it is closed itself', async () => {
      const attached = attachTo([proxy.url], { connectTimeoutMs: 60_000 });
      await attached.attachment.start();
      proxy.hold(true);
      proxy.cut();
      await waitFor(() => proxy.openHeldCount > 0, 'it dials');
      await attached.attachment.close();
      await waitFor(() => proxy.openHeldCount === 0, 'the dial is closed');
    });

    it('gives up the first one too, at whatever address it is', async () => {
      proxy.hold(true);
      const attached = attachTo([proxy.url, proxy.url.replace('127.0.0.1', 'localhost')], {
        connectTimeoutMs: 60_000,
        waitOnFirstConnect: true,
      });
      const started = attached.attachment.start();
      await waitFor(() => proxy.openHeldCount > 0, 'it dials');
      await attached.attachment.close();
      await started;
      await waitFor(() => proxy.openHeldCount === 0, 'the dial is closed');
    });
  });

  describe('at a cluster of two servers', () => {
    async function cluster(): Promise<[NatsProcess, NatsProcess]> {
      const [port, otherPort] = [await freePort(), await freePort()];
      const args = (mine: number, other: number) => [
        ...['--cluster_name', 'c', '--cluster', `nats://127.0.0.1:${mine}`],
        ...['--routes', `nats://127.0.0.1:${other}`],
      ];
      const config = 'lame_duck_grace_period: "25s"';
      return [
        await run({ args: args(port, otherPort), config }),
        await run({ args: args(otherPort, port), config }),
      ];
    }

    it('takes the first that can be reached, if it is to go by their order', async () => {
      const [one, two] = await cluster();
      for (const first of [one, two, one, two, one, two]) {
        const nobody = `nats://127.0.0.1:${await freePort()}`;
        const attached = attach({
          servers: [nobody, first.url, first === one ? two.url : one.url],
          inOrder: true,
        });
        await attached.attachment.start();
        assert.equal(attached.attachment.server, `127.0.0.1:${first.port}`);
      }
    });

    it('moves to the other one when its own is killed', async () => {
      const [one, two] = await cluster();
      const attached = attach({ servers: [one.url, two.url] });
      await attached.attachment.start();
      const mine = attached.attachment.server === `127.0.0.1:${one.port}` ? one : two;
      const other = mine === one ? two : one;
      await mine.stop();
      await attached.linked(2);
      assert.equal(attached.attachment.server, `127.0.0.1:${other.port}`);
      await attached.works();
    });

    it('learns of the other one from its own, and moves there when its own is in lame-duck mode', async () => {
      const [one, two] = await cluster();
      const attached = attach({ servers: [one.url] });
      await attached.attachment.start();
      await waitFor(
        () => attached.attachment.control.serverInfo.connectUrls.includes(`127.0.0.1:${two.port}`),
        'it learns of the other one',
      );
      one.signal('SIGUSR2');
      await waitFor(() => attached.attachment.server === `127.0.0.1:${two.port}`, 'it has moved');
      await attached.works();
      assert.deepEqual(
        { links: attached.links.length, downs: attached.downReasons },
        { links: 1, downs: [] },
      );
    });
  });
});
