import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Broker } from '../harness/broker.js';
import { waitFor, within } from '../harness/wait.js';
import { Certificates } from '../nats/certificates.js';
import { get, httpRig } from './http-rig.js';

const OPEN = ['/livez', '/healthz', '/readyz'];
const GUARDED = [
  '/',
  '/dashboard/anything',
  '/metrics',
  '/streaming/serverz',
  '/streaming/channelsz',
  '/streaming/isFTActive',
];

function basic(user: string, pass: string): RequestInit {
  return { headers: { authorization: `Basic ${Buffer.from(`${user}:${pass}`).toString('base64')}` } };
}

function bearer(token: string): RequestInit {
  return { headers: { authorization: `Bearer ${token}` } };
}

describe('HTTP with a user and a password', () => {
  const rig = httpRig({ flags: ['--http-user', 'prometheus', '--http-pass', 'grün:secret'] });

  it('answers probes without them', async () => {
    for (const path of OPEN) assert.equal((await get(rig.broker, path)).status, 200, path);
  });

  it('is 401 without them, or with others, and asks for them', async () => {
    const others = [
      basic('prometheus', 'wrong'),
      basic('prometheus', ''),
      basic('other', 'grün:secret'),
      bearer('grün:secret'),
      { headers: { authorization: 'Basic' } },
      { headers: { authorization: 'Basic %%%' } },
    ];
    for (const path of [...GUARDED, '/nothing']) {
      const { status, headers } = await get(rig.broker, path);
      assert.equal(status, 401, path);
      assert.equal(headers.get('www-authenticate'), 'Basic realm="stanchion", charset="UTF-8"');
    }
    for (const init of others) assert.equal((await get(rig.broker, '/metrics', init)).status, 401);
    // Once, however many there are, and not what they came with.
    const told = rig.broker.output.match(/.*an HTTP request came with a wrong secret.*/g);
    assert.equal(told?.length, 1);
    assert.match(told[0]!, /"from":"127\.0\.0\.1","path":"\/metrics"/);
    assert.doesNotMatch(rig.broker.output, /wrong:|Basic /);
  });

  it('answers with them, whatever the case of the scheme', async () => {
    const init = basic('prometheus', 'grün:secret');
    const { authorization } = init.headers as Record<string, string>;
    for (const value of [authorization!, authorization!.replace('Basic', 'basic')]) {
      const answer = await get(rig.broker, '/metrics', { headers: { authorization: value } });
      assert.equal(answer.status, 200);
    }
    assert.equal((await get(rig.broker, '/nothing', init)).status, 404);
  });
});

describe('HTTP with a token', () => {
  const rig = httpRig({ broker: false });

  it('answers requests that carry it', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1', '--http-token', 's3cret'] });
    assert.equal((await get(broker, '/metrics', bearer('s3cret'))).status, 200);
    for (const init of [{}, bearer('s3cre'), bearer('s3cret2'), basic('', 's3cret')]) {
      const { status, headers } = await get(broker, '/metrics', init);
      assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer realm="stanchion"']);
    }
  });

  it('takes one of both where there is a user as well, and secrets from a file', async () => {
    const config = join(rig.folder(), 'stanchion.yaml');
    writeFileSync(config, 'http-user: u\nhttp-pass: p\nhttp-token: t\n');
    const broker = await rig.startBroker({ flags: ['--http-port', '-1', '--config', config] });
    for (const init of [basic('u', 'p'), bearer('t')]) {
      assert.equal((await get(broker, '/metrics', init)).status, 200);
    }
    const { status, headers } = await get(broker, '/metrics');
    assert.equal(status, 401);
    assert.equal(
      headers.get('www-authenticate'),
      'Basic realm="stanchion", charset="UTF-8", Bearer realm="stanchion"',
    );
    assert.doesNotMatch(broker.output, /"(u|p|t)"/);
  });

  it('is refused by name when half given, or when no client could send it', async () => {
    for (const [flags, what] of [
      [['--http-user', 'u'], /--http-user and --http-pass go together/],
      [['--http-pass', 'p'], /--http-user and --http-pass go together/],
      [['--http-token', ''], /--http-token is empty/],
      [['--http-user', 'a:b', '--http-pass', 'p'], /--http-user must not have a colon/],
      [['--http-user', 'u', '--http-pass', 'p\n'], /--http-pass has a newline/],
      [['--http-user', 'u\t', '--http-pass', 'p'], /--http-user has a newline or another control character/],
      [['--http-token', 's3cret\n'], /--http-token has a blank, a newline/],
      [['--http-token', 'grün'], /--http-token has .* a character beyond ASCII/],
      [['--http-tls-cert', 'c.pem'], /--http-tls-cert and --http-tls-key go together/],
      [['--http-tls-cert', '/no/c.pem', '--http-tls-key', '/no/k.pem'], /cannot read \/no\/c\.pem/],
    ] as const) {
      const { status, output } = await Broker.refused(
        rig.settings({ flags: ['--http-port', '-1', ...flags] }),
      );
      assert.notEqual(status.code, 0);
      assert.match(output, what);
    }
  });

  it('warns when secrets would go over a network in the clear', async () => {
    const open = ['--http-port', '-1', '--http-addr', '0.0.0.0', '--http-token', 't'];
    assert.match((await rig.startBroker({ flags: open })).output, /HTTP sends its secrets unencrypted/);
    const idle = await rig.startBroker({ flags: ['--http-token', 't'] });
    assert.match(idle.output, /--http-token has no effect without --http-port/);
  });
});

describe('HTTPS', () => {
  const rig = httpRig({ broker: false });
  let first: Certificates;
  let second: Certificates;
  let broker: Broker;
  let files: { cert: string; key: string };

  before(async () => {
    [first, second] = await Promise.all([Certificates.make(), Certificates.make()]);
    const folder = rig.folder();
    files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
    use(first);
    const tls = ['--http-tls-cert', files.cert, '--http-tls-key', files.key];
    broker = await rig.startBroker({ flags: ['--http-port', '-1', ...tls, '--http-token', 't'] });
  });
  after(async () => {
    await Promise.all([first, second].map((each) => each.remove()));
  });

  function use(certificates: Certificates): void {
    copyFileSync(certificates.file('server-key.pem'), files.key);
    copyFileSync(certificates.file('server.pem'), files.cert);
  }

  function port(): number {
    return Number(/"url":"https:\/\/127\.0\.0\.1:(\d+)"/.exec(broker.output)![1]);
  }

  it('answers with its certificate', async () => {
    assert.equal(await statusOf('/readyz', first), 200);
    assert.equal(await statusOf('/metrics', first), 401);
    assert.equal(await statusOf('/metrics', first, { authorization: 'Bearer t' }), 200);
    await assert.rejects(statusOf('/readyz', second), /certificate|self-signed|verify/);
  });

  it('says nothing to clients that speak plain HTTP', async () => {
    await assert.rejects(fetch(`http://127.0.0.1:${port()}/metrics`));
  });

  it('takes a new certificate when its files have changed, with no request lost', async () => {
    use(second);
    await waitFor(
      async () => (await statusOf('/readyz', second).catch(() => 0)) === 200,
      'the new one is in use',
    );
    assert.match(broker.output, /the certificate of HTTP was read again/);
  });

  it('takes it at once on SIGHUP, and keeps the one it has when the new one cannot be used', async () => {
    writeFileSync(files.key, 'no key');
    broker.signal('SIGHUP');
    await waitFor(() => /the old one stays/.test(broker.output), 'it says that the key is no key');
    assert.equal(await statusOf('/readyz', second), 200);
    use(first);
    broker.signal('SIGHUP');
    await waitFor(
      async () => (await statusOf('/readyz', first).catch(() => 0)) === 200,
      'the other one is in use',
    );
  });

  it('is closed with the broker, also in the middle of a handshake', async () => {
    const silent = connect(port(), '127.0.0.1');
    silent.on('error', () => {});
    const secure = await handshake();
    secure.on('error', () => {});
    const ended = [silent, secure].map((socket) => new Promise((resolve) => socket.on('close', resolve)));
    const stopped = within(broker.kill('SIGTERM'), 'the broker stops', 5_000);
    assert.deepEqual(await stopped, { code: 0, signal: null });
    await within(Promise.all(ended), 'both are cut off');
  });

  function handshake(): Promise<TLSSocket> {
    const ca = readFileSync(first.file('ca.pem'));
    return new Promise((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port: port(), ca }, () => resolve(socket));
      socket.on('error', reject);
    });
  }

  /** A connection of its own: a certificate is for new ones. */
  function statusOf(
    path: string,
    trusted: Certificates,
    headers: Record<string, string> = {},
  ): Promise<number> {
    const ca = readFileSync(trusted.file('ca.pem'));
    return new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: port(), path, ca, headers, agent: false }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode!));
      })
        .on('error', reject)
        .end();
    });
  }
});
