import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect as connectNats, credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node';
import * as v2 from 'nats';
import { type ConnectOptions, connect } from '../../src/index.js';
import { Broker } from '../harness/broker.js';
import { Certificates } from '../nats/certificates.js';
import { accountJwt, operatorJwt, userJwt } from '../nats/nats-jwt.js';
import { NatsProcess } from '../nats/nats-process.js';

const CLUSTER_ID = 'guarded';

describe('a connection to NATS that asks who one is', () => {
  let dir: string;
  let certificates: Certificates;
  let nats: NatsProcess | undefined;
  let broker: Broker | undefined;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-auth-'));
    certificates = await Certificates.make();
  });
  afterEach(async () => {
    await broker?.destroy();
    await nats?.stop();
    broker = nats = undefined;
  });
  after(async () => {
    await certificates.remove();
    await rm(dir, { recursive: true });
  });

  /** @param flags with which the broker shows who it is */
  async function start(
    server: Parameters<typeof NatsProcess.start>[0],
    flags: readonly string[],
  ): Promise<void> {
    nats = await NatsProcess.start(server);
    broker = await Broker.start({ natsUrl: nats.url, clusterId: CLUSTER_ID, store: 'memory', flags });
  }

  function open(options: Partial<ConnectOptions>) {
    return connect({ servers: nats!.url, clusterId: CLUSTER_ID, clientId: 'c', ...options });
  }

  /** With what it shows a message comes round; without it nobody gets in. */
  async function works(options: Partial<ConnectOptions>): Promise<void> {
    await assert.rejects(open({ clientId: 'stranger' }));
    const connection = await open(options);
    try {
      await connection.publish('orders', 'mine');
      const subscription = await connection.subscribe('orders', { startAt: 'all' });
      for await (const message of subscription) {
        assert.equal(message.string(), 'mine');
        break;
      }
    } finally {
      await connection.close();
    }
  }

  it('shows user and password', async () => {
    await start({ args: ['--user', 'u', '--pass', 'p'] }, ['--user', 'u', '--pass', 'p']);
    await works({ user: 'u', pass: 'p' });
  });

  it('listens only below the inbox prefix that it was given', async () => {
    const config = join(dir, 'permissions.conf');
    const permissions = '{ publish: ">", subscribe: "_INBOX_me.>" }';
    await writeFile(
      config,
      `authorization { users: [
        { user: b, password: p },
        { user: u, password: p, permissions: ${permissions} }
      ] }`,
    );
    await start({ args: ['-c', config] }, ['--user', 'b', '--pass', 'p']);
    await works({ user: 'u', pass: 'p', inboxPrefix: '_INBOX_me' });
    const natsConnection = await connectNats({
      servers: nats!.url,
      user: 'u',
      pass: 'p',
      inboxPrefix: '_INBOX_me',
    });
    const connection = await connect({ clusterId: CLUSTER_ID, clientId: 'c', natsConnection });
    await connection.publish('orders', 'over a borrowed one');
    await connection.close();
    await natsConnection.close();
  });

  it('shows a token', async () => {
    await start({ args: ['--auth', 's3cret'] }, ['--auth', 's3cret']);
    await works({ token: 's3cret' });
  });

  it('shows an nkey', async () => {
    const user = v2.nkeys.createUser();
    const file = join(dir, 'user.nk');
    await writeFile(file, new TextDecoder().decode(user.getSeed()));
    const config = `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`;
    await start({ config }, ['--nkey', file]);
    await works({ authenticator: nkeyAuthenticator(user.getSeed()) });
    await works({ authenticator: v2.nkeyAuthenticator(user.getSeed()) });
  });

  it('shows what a credentials file holds, at a server in operator mode', async () => {
    const operator = v2.nkeys.createOperator();
    const account = v2.nkeys.createAccount();
    const user = v2.nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const creds = `-----BEGIN NATS USER JWT-----\n${userJwt(account, user)}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    const file = join(dir, 'user.creds');
    await writeFile(file, creds);
    const config = `operator: "${operatorJwt(operator)}"
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: "${accountJwt(operator, account)}" }`;
    await start({ config }, ['--creds', file]);
    const bytes = new TextEncoder().encode(creds);
    await works({ authenticator: credsAuthenticator(bytes) });
    await works({ authenticator: v2.credsAuthenticator(bytes) });
  });

  it('shows a certificate, and trusts the named authority', async () => {
    const caFile = certificates.file('ca.pem');
    const certFile = certificates.file('client.pem');
    const keyFile = certificates.file('client-key.pem');
    const args = [...certificates.serverFlags, '--tlsverify', '--tlscacert', caFile];
    await start({ args }, ['--tls-ca', caFile, '--tls-cert', certFile, '--tls-key', keyFile]);
    await works({ tls: { caFile, certFile, keyFile } });
  });
});
