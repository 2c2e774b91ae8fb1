import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { Broker } from '../harness/broker.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor, within } from '../harness/wait.js';
import { get, httpRig, urlOf } from './http-rig.js';

const PATHS = [
  ...['/', '/livez', '/healthz', '/readyz', '/metrics', '/streaming', '/streaming/serverz'],
  ...['/streaming/storez', '/streaming/clientsz', '/streaming/channelsz', '/streaming/isFTActive'],
];

describe('The HTTP server', () => {
  const rig = httpRig();

  it('answers GET and HEAD on every path', async () => {
    for (const path of PATHS) {
      const full = await get(rig.broker, path);
      assert.equal(full.status, path === '/streaming/isFTActive' ? 204 : 200, path);
      assert.equal(full.headers.get('cache-control'), 'no-store', path);
      const head = await get(rig.broker, path, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text], [full.status, ''], path);
      assert.equal(head.headers.get('content-type'), full.headers.get('content-type'), path);
    }
  });

  it('says what there is where there is nothing', async () => {
    for (const path of ['/nothing', '/streaming/serverz/', '/streaming/SERVERZ', '/__proto__']) {
      const { status, headers, text } = await get(rig.broker, path);
      assert.equal(status, 404, path);
      assert.match(headers.get('content-type')!, /^text\/plain/);
      for (const known of PATHS) assert.ok(text.includes(` ${known} `), known);
    }
  });

  it('answers HEAD on the stream of events at once', async () => {
    const { status, headers } = await get(rig.broker, '/dashboard/events', { method: 'HEAD' });
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'text/event-stream');
  });

  it('refuses every method that could change something', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      for (const path of ['/healthz', '/nothing']) {
        const { status, headers, text } = await get(rig.broker, path, { method });
        assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD']);
        assert.match(text, /access is read-only/);
      }
    }
  });

  it('refuses what is no path', async () => {
    const { hostname, port } = new URL(urlOf(rig.broker));
    // The second is what a base URL with a slash at its end makes: a probe by it must not be answered with the dashboard.
    for (const path of ['//', '//healthz']) {
      const status = await new Promise((resolve, reject) => {
        const message = request({ hostname, port, path, method: 'GET' }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        message.on('error', reject).end();
      });
      assert.equal(status, 400, path);
    }
  });

  it('takes no more headers than it has to', async () => {
    const { status } = await get(rig.broker, '/healthz', { headers: { long: 'x'.repeat(10_000) } });
    assert.equal(status, 431);
  });

  it('listens on loopback alone', async () => {
    const { hostname, port } = new URL(urlOf(rig.broker));
    assert.equal(hostname, '127.0.0.1');
    const other = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal);
    if (other !== undefined) await assert.rejects(fetch(`http://${other.address}:${port}/`));
  });

  it('lists its paths as links for a browser', async () => {
    const { headers, text } = await get(rig.broker, '/streaming');
    assert.match(headers.get('content-type')!, /^text\/html/);
    for (const path of PATHS) assert.ok(text.includes(`<a href="${path}">`), path);
  });
});

describe('The HTTP port', () => {
  const rig = httpRig({ broker: false });

  it('is taken where it is asked for, or the broker does not start', async () => {
    const port = await freePort();
    const flags = ['--http-port', String(port), '--http-addr', 'localhost'];
    const first = await rig.startBroker({ flags });
    assert.equal(new URL(urlOf(first)).port, String(port));
    const { status, output } = await Broker.refused(rig.settings({ flags }));
    assert.equal(status.code, 1);
    const message = `cannot listen for HTTP on localhost:${port}: the port is taken. Stop what listens there, or choose another --http-port`;
    assert.ok(output.includes(message), output);
  });

  it('is on an address that there is, or the broker does not start', async () => {
    const flags = ['--http-port', '-1', '--http-addr', '192.0.2.1'];
    const { status, output } = await Broker.refused(rig.settings({ flags }));
    assert.equal(status.code, 1);
    assert.match(output, /cannot listen for HTTP on 192\.0\.2\.1:0: this machine has no such address/);
  });

  it('is off without the flag', async () => {
    const broker = await rig.startBroker({ flags: [] });
    assert.doesNotMatch(broker.output, /HTTP/);
    const warned = await rig.startBroker({ flags: ['--http-addr', '0.0.0.0'] });
    assert.match(warned.output, /--http-addr has no effect without --http-port/);
  });

  it('answers a probe however many connections one client holds: the oldest go', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1'] });
    const url = new URL(urlOf(broker));
    const held = Array.from({ length: 300 }, () => connect(Number(url.port), url.hostname));
    let gone = 0;
    for (const socket of held) socket.on('error', () => {}).on('close', () => gone++);
    try {
      await waitFor(() => gone >= 300 - 128, 'the oldest go');
      assert.equal((await get(broker, '/livez')).status, 200);
    } finally {
      for (const socket of held) socket.destroy();
    }
  });

  it('is closed with the broker, though clients are still connected', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1'] });
    const url = new URL(urlOf(broker));
    // One that has sent half a request, and one that does nothing.
    const half = connect(Number(url.port), url.hostname);
    const silent = connect(Number(url.port), url.hostname);
    for (const socket of [half, silent]) socket.on('error', () => {});
    const ended = Promise.all(
      [half, silent].map((socket) => new Promise((resolve) => socket.on('close', resolve))),
    );
    half.write('GET /healthz HT');
    await get(broker, '/healthz');
    assert.deepEqual(await broker.kill('SIGTERM'), { code: 0, signal: null });
    await within(ended, 'both are cut off');
    await assert.rejects(fetch(url));
  });
});
