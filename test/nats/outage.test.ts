import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { nkeys } from 'nats';
import type { Clock } from '../../src/clock/clock.js';
import type { NatsConfig } from '../../src/config/serve-config.js';
import { connect } from '../../src/index.js';
import type { LogFields, Logger } from '../../src/log/logger.js';
import { NatsAttachment } from '../../src/nats/attachment.js';
import { startBroker } from '../../src/server.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';
import { Certificates } from './certificates.js';
import { accountJwt, operatorJwt, userJwt } from './nats-jwt.js';
import { NatsProcess } from './nats-process.js';

/** Time that passes faster than it does. */
class FastClock implements Clock {
  readonly #factor: number;

  constructor(factor: number) {
    this.#factor = factor;
  }

  monotonicMs(): number {
    return performance.now() * this.#factor;
  }

  wallNs(): bigint {
    return BigInt(Date.now()) * 1_000_000n;
  }

  setTimer(ms: number, callback: () => void): { cancel(): void } {
    const timer = setTimeout(callback, ms / this.#factor);
    return { cancel: () => clearTimeout(timer) };
  }
}

/** An attachment, with what it logs. */
class Watched {
  readonly lines: string[] = [];
  readonly attachment: NatsAttachment;
  links = 0;

  constructor(config: Partial<NatsConfig> & { servers: readonly string[] }, clock?: Clock) {
    const note = (fields: LogFields, line: string): void => {
      this.lines.push(`${line} ${JSON.stringify(fields)}`);
    };
    const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
    this.attachment = new NatsAttachment({
      config: {
        inOrder: false,
        user: undefined,
        pass: undefined,
        token: undefined,
        credsFile: undefined,
        nkeyFile: undefined,
        tls: undefined,
        ...config,
      },
      name: 'test',
      version: '1.2.3',
      handler: { onMessage: () => {}, onBatchEnd: () => {} },
      logger,
      waitOnFirstConnect: true,
      onLinkUp: () => {
        this.links++;
      },
      onLinkDown: () => {},
      ...(clock && { clock }),
    });
  }

  count(line: RegExp): number {
    return this.lines.filter((each) => line.test(each)).length;
  }

  /** It has a link of its own after so many. */
  async linked(count: number): Promise<void> {
    await waitFor(
      () => this.links >= count && this.attachment.link !== undefined,
      () => `link ${count}; it logged:\n${this.lines.join('\n')}`,
    );
  }

  async said(line: RegExp): Promise<void> {
    await waitFor(
      () => this.count(line) > 0,
      () => `it says ${line}; it logged:\n${this.lines.join('\n')}`,
    );
  }
}

describe('an attachment to NATS that was lost', () => {
  const servers: NatsProcess[] = [];
  const attachments: NatsAttachment[] = [];
  let dir: string;
  let certificates: Certificates;

  before(async () => {
    certificates = await Certificates.make();
  });
  after(() => certificates.remove());
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-outage-'));
  });
  afterEach(async () => {
    for (const attachment of attachments.splice(0)) await attachment.close();
    for (const server of servers.splice(0)) await server.stop();
    await rm(dir, { recursive: true });
  });

  async function run(options: Parameters<typeof NatsProcess.start>[0]): Promise<NatsProcess> {
    const server = await NatsProcess.start(options);
    servers.push(server);
    return server;
  }

  async function attach(
    config: Partial<NatsConfig> & { servers: readonly string[] },
    clock?: Clock,
  ): Promise<Watched> {
    const watched = new Watched(config, clock);
    attachments.push(watched.attachment);
    await watched.attachment.start();
    return watched;
  }

  interface Secret {
    readonly server: { config?: string; args?: string[] };
    /** The file, and what it holds. */
    readonly text: string;
    config(file: string): Partial<NatsConfig>;
  }

  function nkeySecret(): Secret {
    const user = nkeys.createUser();
    return {
      server: { config: `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }` },
      text: `${new TextDecoder().decode(user.getSeed())}\n`,
      config: (nkeyFile) => ({ nkeyFile }),
    };
  }

  function credsSecret(): Secret {
    const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
    const seed = new TextDecoder().decode(user.getSeed());
    return {
      server: {
        config: `operator: "${operatorJwt(operator)}"
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: "${accountJwt(operator, account)}" }`,
      },
      text: `-----BEGIN NATS USER JWT-----\n${userJwt(account, user)}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
      config: (credsFile) => ({ credsFile }),
    };
  }

  /** @param which the file of the client certificate that goes through the bad moment */
  async function tlsSecret(which: 'caFile' | 'certFile' | 'keyFile'): Promise<Secret> {
    const ca = certificates.file('ca.pem');
    const files = {
      caFile: ca,
      certFile: certificates.file('client.pem'),
      keyFile: certificates.file('client-key.pem'),
    };
    return {
      server: { args: [...certificates.serverFlags, '--tlsverify', '--tlscacert', ca] },
      text: await readFile(files[which], 'utf8'),
      config: (file) => ({
        tls: { ...files, [which]: file, serverName: undefined, skipVerify: false },
      }),
    };
  }

  const secrets: [what: string, make: () => Secret | Promise<Secret>][] = [
    ['credentials', credsSecret],
    ['nkey seed', nkeySecret],
    ['certificate authorities', () => tlsSecret('caFile')],
    ['client certificate', () => tlsSecret('certFile')],
    ['private key', () => tlsSecret('keyFile')],
  ];
  const bad: [how: string, write: (file: string, text: string) => Promise<void>][] = [
    ['empty', (file) => writeFile(file, '')],
    ['missing', (file) => rename(file, `${file}.away`)],
    ['half written', (file, text) => writeFile(file, text.slice(0, text.length / 2))],
  ];

  for (const [what, make] of secrets) {
    it(`says so if the file of the ${what} is bad while NATS restarts, and comes back when it is good again`, async () => {
      const { server: options, text, config } = await make();
      const file = join(dir, 'secret');
      await writeFile(file, text);
      const port = await freePort();
      let server = await run({ ...options, port });
      const watched = await attach({ servers: [server.url], ...config(file) });
      for (const [index, [, write]] of bad.entries()) {
        watched.lines.length = 0;
        await server.stop();
        await write(file, text);
        server = await run({ ...options, port });
        await watched.said(/cannot connect to NATS: trying again.*secret/);
        await writeFile(file, text);
        await watched.linked(index + 2);
        assert.ok(watched.count(/trying again/) <= 5, watched.lines.join('\n'));
      }
    });
  }

  it('is back under a broker too, whose clients go on', async () => {
    const { text } = nkeySecret();
    const seed = nkeys.fromSeed(new TextEncoder().encode(text.trim()));
    const options = {
      config: `authorization { users: [ { nkey: ${seed.getPublicKey()} }, { user: c, password: c } ] }`,
      port: await freePort(),
    };
    const nkey = join(dir, 'broker.nk');
    await writeFile(nkey, text);
    let server = await run(options);
    const lines: string[] = [];
    const note = (fields: LogFields, line: string): void =>
      void lines.push(`${line} ${JSON.stringify(fields)}`);
    const log: Logger = { debug: note, info: note, warn: note, error: note, child: () => log };
    const said = (line: RegExp): Promise<void> =>
      waitFor(
        () => lines.some((each) => line.test(each)),
        () => `it says ${line}; it said:\n${lines.join('\n')}`,
      );
    const broker = await startBroker({ natsServer: server.url, nkey, clusterId: 'c', log });
    const client = await connect({
      servers: server.url,
      user: 'c',
      pass: 'c',
      clusterId: 'c',
      clientId: 'a',
    });
    try {
      await client.publish('a', 'before');
      await server.stop();
      await writeFile(nkey, '');
      server = await run(options);
      await said(/cannot connect to NATS.*broker\.nk holds no nkey seed/);
      await writeFile(nkey, text);
      await said(/^serving again/);
      await client.publish('a', 'after');
    } finally {
      await client.close().catch(() => {});
      await broker.stop();
    }
  });

  it('backs off from a server that refuses the login, with one line, and is back when the user is', async () => {
    const users = (names: string[]) =>
      `authorization { users: [ ${names.map((user) => `{ user: ${user}, password: p }`).join(', ')} ] }`;
    const server = await run({ config: users(['u', 'other']) });
    const clock = new FastClock(20);
    const watched = await attach({ servers: [server.url], user: 'u', pass: 'p' }, clock);
    watched.lines.length = 0;
    await server.reload(users(['other']));
    await watched.said(/trying again/);
    const untilMs = clock.monotonicMs() + 20_000;
    await waitFor(() => clock.monotonicMs() > untilMs, '20 seconds of it');
    const refusals = server.logged(/authentication error/g);
    assert.ok(refusals > 0 && refusals < 20, `${refusals} tries`);
    assert.ok(watched.lines.length <= 4, watched.lines.join('\n'));
    assert.equal(watched.count(/trying again.*Authorization Violation/i), 1);
    await server.reload(users(['u', 'other']));
    await watched.linked(2);
  });
});
