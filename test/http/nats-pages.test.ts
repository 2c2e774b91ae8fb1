import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { natsPages, type PageLimits } from '../../src/http/nats-pages.js';
import { REFUSED_OPERATIONS } from '../../src/nats/refusal.js';
import { countsOf } from '../../src/util/counts.js';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';
import { Certificates } from '../nats/certificates.js';
import { get, httpRig } from './http-rig.js';

const PAGES = [
  ...['/varz', '/connz', '/routez', '/subsz', '/subscriptionsz', '/gatewayz', '/leafz', '/accountz'],
];

describe('The pages of a nats-server that the broker supervises', () => {
  const children: Child[] = [];
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-pages-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(async () => {
    for (const child of children.splice(0)) await child.end('SIGTERM');
  });

  async function start(...flags: string[]): Promise<Child> {
    const own = ['serve', '--log-format', 'json', '--addr', '127.0.0.1', '--port', '0', '--http-port', '-1'];
    const child = new Child(process.execPath, [...(await mainScript()), ...own, ...flags]);
    children.push(child);
    await waitFor(
      () => /Streaming Server is ready|Standby: watching/.test(child.output),
      () => child.output,
    );
    return child;
  }

  const ask = (child: Child, path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(/"url":"(http:[^"]+)"/.exec(child.output)![1] + path, init);

  const json = async (child: Child, path: string): Promise<Record<string, unknown>> =>
    (await (await ask(child, path)).json()) as Record<string, unknown>;

  const processOf = (child: Child): number =>
    Number([...child.output.matchAll(/"pid":(\d+),"url":"nats:/g)].at(-1)![1]);

  /** A file for --nats-config. */
  function natsConfig(name: string, text: string): string {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  }

  it('are there by GET and HEAD, with the status and type that it answers, and in the lists', async () => {
    const broker = await start();
    const list = await (await ask(broker, '/nothing')).text();
    for (const path of PAGES) {
      const full = await ask(broker, path);
      assert.deepEqual([full.status, full.headers.get('content-type')], [200, 'application/json'], path);
      assert.equal(full.headers.get('cache-control'), 'no-store');
      assert.equal(full.headers.get('access-control-allow-origin'), null);
      assert.equal(typeof (await full.json()), 'object');
      const head = await ask(broker, path, { method: 'HEAD' });
      assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'application/json'], path);
      assert.equal(await head.text(), '');
      assert.ok(list.includes(` ${path} `), path);
    }
    assert.match(String((await json(broker, '/varz')).server_name), /^stanchion-/);
  });

  it('have its parameters, its errors, and no JSONP', async () => {
    const broker = await start();
    const { connections, limit } = await json(broker, '/connz?limit=7&subs=1&sort=cid');
    assert.equal(limit, 7);
    const [first] = connections as { subscriptions_list?: string[] }[];
    assert.ok(first?.subscriptions_list !== undefined);
    const wrong = await ask(broker, '/connz?limit=some');
    assert.equal(wrong.status, 400);
    assert.match(wrong.headers.get('content-type')!, /^text\/plain/);
    assert.match(await wrong.text(), /limit/);
    const script = await ask(broker, '/varz?callback=steal');
    assert.equal(script.headers.get('content-type'), 'application/json');
    assert.equal(typeof (await script.json()), 'object');
  });

  it('show no token of a client, whatever is asked', async () => {
    const file = natsConfig('token.conf', 'http: "127.0.0.1:-1"');
    const broker = await start('--auth', 'kanarienvogel', '--nats-config', file);
    for (const query of ['auth=1', 'auth=true', 'state=all&auth=1', 'auth=0&auth=1', 'Auth=1', 'auth%00=1'])
      for (const path of PAGES) {
        const answer = await ask(broker, `${path}?${query}`);
        if (/^auth=|&auth=/.test(query)) assert.equal(answer.status, 403, `${path}?${query}`);
        assert.doesNotMatch(await answer.text(), /kanarienvogel/, `${path}?${query}`);
      }
    assert.equal((await ask(broker, '/connz?auth=0&subs=detail&state=all&nonsense=1')).status, 200);
    assert.doesNotMatch(broker.output, /kanarienvogel/);
    // The port of the nats-server itself would show it to every user of this machine.
    const unasked = await start('--auth', 'kanarienvogel');
    assert.equal((await ask(unasked, '/connz')).status, 404);
    assert.doesNotMatch(unasked.output, /Starting http monitor/);
  });

  it('are all of it that can be reached, and only to be read', async () => {
    const broker = await start();
    for (const path of ['/stacksz', '/jsz', '/debug/vars', '/varz/', '/varz/../stacksz', '/VARZ']) {
      assert.equal((await ask(broker, path)).status, 404, path);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      assert.equal((await ask(broker, '/varz', { method })).status, 405, method);
    }
  });

  it('are on this machine alone, whatever address clients come to', async () => {
    const broker = await start('--addr', '0.0.0.0');
    assert.match(broker.output, /Starting http monitor on 127\.0\.0\.1:\d+/);
    assert.equal((await json(broker, '/varz')).http_host, '127.0.0.1');
  });

  it('ask for the secret that other paths ask for', async () => {
    const broker = await start('--http-token', 's3cret', '--user', 'u', '--pass', 'p');
    assert.equal((await ask(broker, '/connz')).status, 401);
    const answer = await ask(broker, '/connz', { headers: { authorization: 'Bearer s3cret' } });
    assert.equal(answer.status, 200);
    assert.equal(((await answer.json()) as { num_connections: number }).num_connections > 0, true);
  });

  it('are there again when it has died, and say so until then', async () => {
    const broker = await start();
    const first = (await json(broker, '/varz')).server_id;
    const statuses = new Set<number>();
    process.kill(processOf(broker), 'SIGKILL');
    await waitFor(async () => {
      const answer = await ask(broker, '/varz');
      statuses.add(answer.status);
      return answer.status === 200 && ((await answer.json()) as { server_id: unknown }).server_id !== first;
    }, 'they are those of the next one');
    assert.ok(
      [...statuses].every((status) => status === 200 || status === 503),
      String([...statuses]),
    );
  });

  it('are where its configuration file has them', async () => {
    const port = await freePort();
    // On a line with another setting, in a file that is included, past a comment.
    natsConfig('inner.conf', `max_payload: 12345, http_port = ${port}\n`);
    const file = natsConfig('outer.conf', '# http: 1\nmax_connections: 77\ninclude "inner.conf"\n');
    const broker = await start('--nats-config', file, '--user', 'u', '--pass', 'p');
    const varz = await json(broker, '/varz');
    assert.deepEqual([varz.http_port, varz.max_payload, varz.max_connections], [port, 12_345, 77]);
    assert.equal((await fetch(`http://127.0.0.1:${port}/varz`)).status, 200);
  });

  it('are there with a configuration file that says nothing of them', async () => {
    const broker = await start(
      '--nats-config',
      natsConfig('plain.conf', '#http: 8222\nmax_payload: 54321\n'),
    );
    const varz = await json(broker, '/varz');
    assert.deepEqual([varz.http_host, varz.max_payload], ['127.0.0.1', 54_321]);
  });

  it('are reached by HTTPS where its configuration file has them so', async () => {
    const certificates = await Certificates.make();
    try {
      const [cert, key] = [certificates.file('server.pem'), certificates.file('server-key.pem')];
      const tls = `tls { cert_file: "${cert}", key_file: "${key}" }`;
      const file = natsConfig('https.conf', `https: "127.0.0.1:-1"\n${tls}\n`);
      const broker = await start('--nats-config', file, '--secure');
      assert.equal((await ask(broker, '/varz')).status, 200);
    } finally {
      await certificates.remove();
    }
  });

  it('are not there where its configuration file has them off, and say how to have them', async () => {
    const broker = await start('--nats-config', natsConfig('off.conf', 'http_port: 0\n'));
    const answer = await ask(broker, '/varz');
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /--nats-config set http: "127\.0\.0\.1:-1"/);
  });

  it('are those of its own nats-server on a member of a group', async () => {
    const flags = ['--store', 'file', '--dir', join(folder, 'store'), '--ft-group', 'g'];
    const broker = await start(...flags);
    assert.match(String((await json(broker, '/varz')).server_name), /^stanchion-/);
  });
});

describe('The pages of a NATS server that the broker is attached to', () => {
  const rig = httpRig();

  it('are not here: where to look', async () => {
    const list = (await get(rig.broker, '/nothing')).text;
    for (const path of PAGES) {
      const { status, headers, text } = await get(rig.broker, path);
      assert.equal(status, 404);
      assert.match(headers.get('content-type')!, /^text\/plain/);
      assert.match(text, new RegExp(`the monitoring port of the NATS server at 127.0.0.1:${rig.nats.port}`));
      assert.ok(!list.includes(` ${path} `), path);
    }
  });
});

describe('A page that is passed on', () => {
  const servers: Server[] = [];

  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  });

  async function listen(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** @returns the address of /connz, which passes on what `origin` has */
  async function passing(
    origin: string,
    limits: Partial<PageLimits>,
    failed: unknown[] = [],
  ): Promise<string> {
    const all = { timeoutMs: 10_000, maxBytes: 1_000, ...limits };
    const pages = natsPages(
      () => ({ kind: 'on', url: origin }),
      {
        isStarted: true,
        health: { isHealthy: true, isReady: true, reasons: [] },
        nats: {
          isConnected: true,
          server: '',
          sinceMs: 0,
          losses: 0,
          refusals: countsOf(REFUSED_OPERATIONS),
        },
      },
      all,
    );
    const [, , handle] = pages.find(([path]) => path === '/connz')!;
    const url = await listen(async (request, response) => {
      try {
        const { url = '', socket } = request;
        const { searchParams } = new URL(url, origin);
        await handle({ query: searchParams, target: url, connection: socket }, response);
      } catch (error) {
        failed.push(error);
        response.destroy();
      }
    });
    return `${url}/connz`;
  }

  it('takes nothing along of the request but its parameters', async () => {
    let seen: unknown;
    const origin = await listen(({ method, url, headers }, response) => {
      seen = { method, url, names: Object.keys(headers).sort() };
      response.end('{}');
    });
    const headers = { authorization: 'Bearer s3cret', cookie: 'a=b' };
    await (
      await fetch(`${await passing(origin, {})}?limit=1&callback=f&auth=0&a=1&acc=%2F..%2F`, { headers })
    ).text();
    assert.deepEqual(seen, {
      method: 'GET',
      url: '/connz?limit=1&acc=%2F..%2F',
      names: ['connection', 'host'],
    });
  });

  it('follows no redirect, and brings no header but its type', async () => {
    const origin = await listen((_request, response) => {
      const headers = { location: 'http://192.0.2.1/', 'set-cookie': 'a=b', 'content-type': 'text/x' };
      response.writeHead(302, headers).end('elsewhere');
    });
    const answer = await fetch(await passing(origin, {}), { redirect: 'manual' });
    assert.deepEqual([answer.status, await answer.text()], [302, 'elsewhere']);
    const names = ['location', 'set-cookie', 'content-type'].map((name) => answer.headers.get(name));
    assert.deepEqual(names, [null, null, 'text/x']);
  });

  it('is given up when it takes too long', async () => {
    const origin = await listen(() => {});
    const answer = await fetch(await passing(origin, { timeoutMs: 50 }));
    assert.equal(answer.status, 504);
    assert.match(await answer.text(), /not answered within 50 ms/);
    const half = await listen((_request, response) => void response.write('{'));
    const failed: unknown[] = [];
    const begun = await fetch(await passing(half, { timeoutMs: 50 }, failed));
    await assert.rejects(begun.text());
    assert.equal(failed.length, 1);
  });

  it('is cut off when it is too long', async () => {
    const failed: unknown[] = [];
    const origin = await listen((_request, response) => void response.end('x'.repeat(1_001)));
    await assert.rejects(fetch(await passing(origin, {}, failed)).then((answer) => answer.text()));
    assert.match(String(failed[0]), /\/connz of nats-server has more than 1000 bytes/);
    const fits = await listen((_request, response) => void response.end('x'.repeat(1_000)));
    assert.equal((await (await fetch(await passing(fits, {}))).text()).length, 1_000);
  });

  it('is 503 while the nats-server does not answer', async () => {
    const answer = await fetch(await passing(`http://127.0.0.1:${await freePort()}`, {}));
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /nats-server does not answer: .*ECONNREFUSED/);
  });

  it('is abandoned quietly when the client that asked for it goes', async () => {
    let [come, gone] = [0, 0];
    const failed: unknown[] = [];
    const origin = await listen((request, response) => {
      come++;
      response.on('close', () => gone++);
      if (request.url === '/connz?limit=1') response.write('{');
    });
    const url = await passing(origin, {}, failed);
    for (const [query, calls] of [
      ['', 1],
      ['?limit=1', 2],
    ] as const) {
      const leaving = new AbortController();
      const asked = fetch(url + query, { signal: leaving.signal });
      asked.catch(() => {});
      await waitFor(() => come === calls, 'it is asked for');
      if (query !== '') await asked;
      leaving.abort();
      await waitFor(() => gone === calls, 'nobody asks any more');
      if (query === '') await assert.rejects(asked);
    }
    assert.deepEqual(failed, []);
  });
});
