import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { describe, it } from 'node:test';
import { HostGuard, type HostGuardOptions } from '../../src/http/host-guard.js';
import type { Broker } from '../harness/broker.js';
import { httpRig, urlOf } from './http-rig.js';

const REBOUND = 'rebound.example.com:8222';
const GUARDED = [
  '/',
  '/dashboard/state',
  '/metrics',
  '/streaming/channelsz',
  '/streaming/isFTActive',
  '/varz',
];
const PROBES = ['/livez', '/healthz', '/readyz'];

describe('HTTP for the machine alone', () => {
  const rig = httpRig();

  it('does not answer a page whose name leads here, and says what to do', async () => {
    for (const path of GUARDED) {
      const { status, text } = await getAs(rig.broker, REBOUND, path);
      assert.equal(status, 421, path);
      assert.match(text, /"rebound\.example\.com:8222".*localhost.*--http-token/);
    }
    // Once, however many there are.
    const told = rig.broker.output.match(/.*an HTTP request asked for another host.*/g);
    assert.equal(told?.length, 1);
    assert.match(told[0]!, /"from":"127\.0\.0\.1","host":"rebound\.example\.com:8222","path":"\/"/);
  });

  it('answers probes under any name', async () => {
    for (const path of PROBES) assert.equal((await getAs(rig.broker, REBOUND, path)).status, 200, path);
  });

  it('answers under names and addresses of the machine', async () => {
    for (const host of [
      'localhost:8222',
      'localhost',
      'LOCALHOST.',
      '127.0.0.1:1',
      '[::1]:8222',
      'a.localhost',
    ])
      assert.equal((await getAs(rig.broker, host, '/metrics')).status, 200, host);
  });
});

describe('HTTP for other machines too', () => {
  const rig = httpRig({ broker: false });

  it('answers under any name with a secret, which no page can show', async () => {
    const guarded = await rig.startBroker({ flags: ['--http-port', '-1', '--http-token', 's3cret'] });
    const authorization = 'Bearer s3cret';
    assert.equal((await getAs(guarded, REBOUND, '/metrics', { authorization })).status, 200);
    assert.equal((await getAs(guarded, REBOUND, '/metrics')).status, 401);
    await guarded.kill('SIGTERM');
  });

  it('answers without a secret under addresses and names that no web site can have, and says at the start which', async () => {
    const open = await rig.startBroker({
      flags: [
        '--http-port',
        '-1',
        '--http-addr',
        '0.0.0.0',
        '--http-allowed-hosts',
        'Stan.example.com,*.corp.example',
      ],
    });
    assert.match(
      open.output,
      /"hosts":"addresses, .*names without a dot, \*\.svc, .*stan\.example\.com, \*\.corp\.example"/,
    );
    const { status, text } = await getAs(open, REBOUND, '/metrics');
    assert.equal(status, 421);
    assert.match(text, /"rebound\.example\.com:8222".*--http-allowed-hosts.*--http-token/);
    for (const path of PROBES) assert.equal((await getAs(open, REBOUND, path)).status, 200, path);
    for (const host of [
      '10.1.2.3:8222',
      '[fd00::1]:8222',
      'stan-0',
      'stan-0:8222',
      'stan.ns.svc',
      'stan.example.com:1',
    ])
      assert.equal((await getAs(open, host, '/metrics')).status, 200, host);
  });

  it('answers under any name where the list says so', async () => {
    const open = await rig.startBroker({
      flags: ['--http-port', '-1', '--http-addr', '0.0.0.0', '--http-allowed-hosts', '*'],
    });
    assert.match(open.output, /"hosts":"any name"/);
    assert.equal((await getAs(open, REBOUND, '/metrics')).status, 200);
  });
});

describe('names that mean the machine', () => {
  it('are localhost, addresses, and the one that it was configured to listen on', () => {
    const own = [
      'localhost',
      'localhost:80',
      'localhost.:80',
      '127.0.0.1',
      '10.1.2.3:8222',
      '[::1]',
      '[fe80::1]:1',
      'host.docker.internal:8222',
      'Stan-0:1',
    ];
    const guard = guardOf({ listensOn: 'stan-0' });
    for (const host of own) assert.equal(guard.admits(host), true, host);
    assert.equal(guard.admits(undefined), true, 'HTTP/1.0');
  });

  it('are not those that only look like it', () => {
    const others = [
      ...[
        'example.com',
        'localhost.example.com',
        '127.0.0.1.example.com',
        'notlocalhost',
        '',
        ':8222',
        'a b',
      ],
      ...[
        '[example.com]',
        '[::1',
        'localhost@example.com',
        'localhost:80:90',
        '127.0.0.1/example.com',
        '2130706433',
      ],
    ];
    for (const isLoopback of [true, false])
      for (const host of others)
        if (isLoopback || host.includes('.') || /\W|^\d*$/.test(host))
          assert.equal(guardOf({ isLoopback }).admits(host), false, host);
  });
});

describe('names that mean a server for other machines', () => {
  const guard = guardOf({
    isLoopback: false,
    machine: 'Node-7.example.com',
    allowed: ['a.example.org', '*.b.example'],
  });

  it('are its own, those of a network, and those that are allowed', () => {
    for (const host of [
      ...[
        'stan-1',
        'stan-1:8222',
        'node-7.example.com',
        'stan.ns.svc',
        'stan-0.stan.ns.svc.cluster.local:8222',
      ],
      ...[
        'nas.local',
        'stan.c.project.internal',
        'stan.home.arpa',
        'a.example.org.',
        'x.b.example',
        'x.y.b.example',
      ],
    ])
      assert.equal(guard.admits(host), true, host);
  });

  it('are none that someone could register', () => {
    for (const host of [
      ...[
        'node-7.example.com.evil.com',
        'stan.ns.svc.evil.com',
        'svc.evil.com',
        'x.a.example.org',
        'b.example',
      ],
      ...['notlocal.com', 'xlocal.example', 'stan-1.evil.com:8222', 'xb.example'],
    ])
      assert.equal(guard.admits(host), false, host);
  });

  it('are its own alone where only this machine can ask', () => {
    for (const host of ['stan-1', 'stan.ns.svc', 'nas.local', 'node-7.example.com'])
      assert.equal(guardOf({ machine: 'node-7.example.com' }).admits(host), false, host);
  });
});

function guardOf(options: Partial<HostGuardOptions>): HostGuard {
  return new HostGuard({ listensOn: '127.0.0.1', isLoopback: true, machine: 'm', allowed: [], ...options });
}

async function getAs(
  broker: Broker,
  host: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(urlOf(broker));
  const address = hostname === '0.0.0.0' ? '127.0.0.1' : hostname;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ hostname: address, port, path, headers: { ...headers, host } }, resolve)
      .on('error', reject)
      .end();
  });
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode!, text };
}
