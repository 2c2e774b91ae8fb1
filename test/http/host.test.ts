import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { describe, it } from 'node:test';
import { isOwnHost } from '../../src/http/host-guard.js';
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

describe('HTTP with a secret, or for other machines too', () => {
  const rig = httpRig({ broker: false });

  it('answers under any name: proxies and probes of Kubernetes have theirs', async () => {
    const guarded = await rig.startBroker({ flags: ['--http-port', '-1', '--http-token', 's3cret'] });
    const authorization = 'Bearer s3cret';
    assert.equal((await getAs(guarded, REBOUND, '/metrics', { authorization })).status, 200);
    assert.equal((await getAs(guarded, REBOUND, '/metrics')).status, 401);
    await guarded.kill('SIGTERM');

    const open = await rig.startBroker({ flags: ['--http-port', '-1', '--http-addr', '0.0.0.0'] });
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
    for (const host of own) assert.equal(isOwnHost('stan-0', host), true, host);
    assert.equal(isOwnHost('stan-0', undefined), true, 'HTTP/1.0');
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
    for (const host of others) assert.equal(isOwnHost('127.0.0.1', host), false, host);
  });
});

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
