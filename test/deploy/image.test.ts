import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resolveServeConfig } from '../../src/config/resolve.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { Certificates } from '../nats/certificates.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HEALTH_CHECK = join(ROOT, 'deploy', 'healthcheck.mjs');

describe('the image', () => {
  const dockerfile = readFileSync(join(ROOT, 'deploy', 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
  const lines = dockerfile.split('\n');

  function values(instruction: string): string[] {
    return lines.flatMap((line) =>
      line.startsWith(`${instruction} `) ? [line.slice(instruction.length + 1)] : [],
    );
  }

  it('is made of files that are there, and that .dockerignore lets through', () => {
    const letThrough = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = values('COPY')
      .filter((line) => !line.startsWith('--from='))
      .flatMap((line) => line.split(/ +/).slice(0, -1));
    assert.ok(copied.length > 3);
    for (const path of copied) {
      assert.ok(existsSync(join(ROOT, path)), path);
      assert.ok(
        letThrough.some((each) => path === each || path.startsWith(`${each}/`)),
        path,
      );
    }
  });

  it('starts a broker that serves HTTP, by a command and an environment that it takes', () => {
    const [command] = values('CMD');
    const [name, ...argv] = JSON.parse(command!) as string[];
    assert.equal(name, 'serve');
    assert.deepEqual(values('ENTRYPOINT'), ['["stanchion"]']);
    const env = Object.fromEntries(
      values('ENV').flatMap((line) => line.split(/ +/).map((pair) => pair.split(/=(.*)/).slice(0, 2))),
    ) as Record<string, string>;
    const config = resolveServeConfig(argv, env, () => assert.fail('there is no file'));
    assert.deepEqual([config.store.kind, config.httpPort, config.httpAddress], ['file', 8222, '0.0.0.0']);
    assert.ok(values('VOLUME').includes('/data'));
    assert.ok(values('USER').every((user) => /^[1-9]\d*:[1-9]\d*$/.test(user)));
  });
});

describe('the health check of the image', () => {
  let certificates: Certificates;
  const servers: Server[] = [];

  before(async () => {
    certificates = await Certificates.make();
  });
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await certificates.remove();
  });

  async function listen(status: number, host: string, withTls = false): Promise<string> {
    const answer: RequestListener = (request, response) => {
      response.writeHead(request.url === '/healthz' ? status : 404).end('no connection to NATS');
    };
    const pem = (name: 'server.pem' | 'server-key.pem'): Buffer => readFileSync(certificates.file(name));
    const server = withTls
      ? createTlsServer({ cert: pem('server.pem'), key: pem('server-key.pem') }, answer)
      : createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return String((server.address() as AddressInfo).port);
  }

  async function check(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
    const child = new Child(process.execPath, [HEALTH_CHECK], env);
    const { code } = await child.exit;
    return { code, output: child.output };
  }

  it('is content with 200, and with nothing else', async () => {
    const healthy = await listen(200, '127.0.0.1');
    const environment = { STANCHION_HTTP_PORT: healthy, STANCHION_HTTP_ADDR: '0.0.0.0' };
    assert.deepEqual(await check(environment), { code: 0, output: '' });
    const ill = await listen(503, '127.0.0.1');
    assert.deepEqual(await check({ STANCHION_HTTP_PORT: ill }), { code: 1, output: 'no connection to NATS' });
    const nobody = await check({ STANCHION_HTTP_PORT: String(await freePort()) });
    assert.equal(nobody.code, 1);
    assert.match(nobody.output, /no answer on 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  });

  it('asks by TLS where the broker has it, and says nothing of whose certificate that is', async () => {
    const port = await listen(200, '127.0.0.1', true);
    const environment = { STANCHION_HTTP_PORT: port, STANCHION_HTTP_TLS_CERT: '/etc/stanchion/tls.crt' };
    assert.deepEqual(await check(environment), { code: 0, output: '' });
  });

  const OTHER_LOOPBACK = { skip: process.platform !== 'linux' && '127.0.0.2 is an address on Linux alone' };

  it('asks at the address that the broker listens on', OTHER_LOOPBACK, async () => {
    const port = await listen(200, '127.0.0.2');
    const environment = { STANCHION_HTTP_PORT: port, STANCHION_HTTP_ADDR: '127.0.0.2' };
    assert.deepEqual(await check(environment), { code: 0, output: '' });
  });
});
