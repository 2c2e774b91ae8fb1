import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect, nkeys } from 'nats';
import { systemClock } from '../../src/clock/clock.js';
import type { NatsConfig, NatsServerConfig } from '../../src/config/serve-config.js';
import { type LogFields, type Logger, silentLogger } from '../../src/log/logger.js';
import { NatsServerError } from '../../src/nats/server-error.js';
import { probe } from '../../src/nats/server-probe.js';
import { SupervisedServer, type SupervisedServerOptions } from '../../src/nats/supervised-server.js';
import { startBroker } from '../../src/server.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';
import { Certificates } from './certificates.js';
import { accountJwt, operatorJwt } from './nats-jwt.js';
import { NatsProcess } from './nats-process.js';

const CONFIG: NatsServerConfig = {
  binary: 'nats-server',
  host: '127.0.0.1',
  port: 0,
  clusterUrl: undefined,
  clusterName: undefined,
  routes: [],
  configFile: undefined,
  flags: [],
};
const OPEN = { user: undefined, pass: undefined, token: undefined };

/** Notes entries, and lets a test wait for one. */
class NotingLogger implements Logger {
  readonly entries: string[] = [];

  debug = (_fields: LogFields, message: string) => this.note('debug', message);
  info = (_fields: LogFields, message: string) => this.note('info', message);
  warn = (_fields: LogFields, message: string) => this.note('warn', message);
  error = (_fields: LogFields, message: string) => this.note('error', message);
  child = () => this;

  until(text: string): Promise<void> {
    return waitFor(
      () => this.entries.some((entry) => entry.includes(text)),
      () => `it logs ${JSON.stringify(text)}; it logged:\n${this.entries.join('\n')}`,
    );
  }

  private note(level: string, message: string): void {
    this.entries.push(`${level} ${message}`);
  }
}

describe('a supervised nats-server', () => {
  const started: SupervisedServer[] = [];
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-server-'));
  });
  afterEach(async () => {
    for (const server of started.splice(0)) await server.stop();
    await rm(dir, { recursive: true });
  });

  async function start(
    config: Partial<NatsServerConfig> = {},
    options: Partial<Omit<SupervisedServerOptions, 'config' | 'credentials'>> & {
      credentials?: Partial<NatsConfig>;
    } = {},
  ): Promise<SupervisedServer> {
    const server = await SupervisedServer.start({
      logger: silentLogger,
      ...options,
      config: { ...CONFIG, ...config },
      credentials: { ...OPEN, ...options.credentials },
    });
    started.push(server);
    return server;
  }

  const isAlive = (pid: number) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  it('takes connections when start resolves, on a free port if none is named, and stops', async () => {
    const server = await start();
    assert.ok(server.port > 0);
    const nc = await connect({ servers: server.url });
    await nc.close();
    const pid = server.pid!;
    await server.stop();
    await server.stop();
    assert.equal(isAlive(pid), false);
    assert.equal((await probe('127.0.0.1', server.port, 1_000, systemClock)).kind, 'none');
  });

  it('has a folder that only its user can enter; that of a broker that was killed is removed by the next one', async () => {
    const dead = spawn(process.execPath, ['-e', '0']);
    await once(dead, 'exit');
    const left = join(tmpdir(), `stanchion-nats-${dead.pid}-Ab3dEf`);
    const other = join(tmpdir(), `stanchion-nats-${process.pid}-Ab3dEf`);
    await Promise.all([mkdir(left), mkdir(other)]);
    await writeFile(join(left, 'nats.conf'), 'authorization { token: "t" }');
    try {
      const server = await start();
      assert.equal(existsSync(left), false);
      assert.equal(existsSync(other), true);
      const [own] = (await readdir(tmpdir())).filter(
        (name) => name.startsWith(`stanchion-nats-${process.pid}-`) && !other.endsWith(name),
      );
      assert.equal(statSync(join(tmpdir(), own!)).mode & 0o777, 0o700);
      await server.stop();
    } finally {
      await rm(other, { recursive: true });
      await rm(left, { recursive: true, force: true });
    }
  });

  it('leaves nothing behind in the folder for temporary files', async () => {
    const before = new Set(await readdir(tmpdir()));
    const server = await start();
    const mine = (await readdir(tmpdir())).filter(
      (name) => !before.has(name) && name.startsWith('stanchion-nats-'),
    );
    assert.ok(mine.length > 0);
    await server.stop();
    assert.ok((await readdir(tmpdir())).filter((name) => mine.includes(name)).length < mine.length);
  });

  it('asks clients for the password or token, which no argument and no file shows', async () => {
    const pass = 'kanari#en"$\\ä\n,}%';
    const server = await start({}, { credentials: { user: 'u', pass } });
    assert.ok(filesOf('stanchion-nats-').length > 0);
    for (const shown of [argumentsOf(server.pid!), ...filesOf('stanchion-nats-')])
      assert.ok(!shown.includes('kanari'), shown);
    const nc = await connect({ servers: server.url, user: 'u', pass });
    await nc.close();
    await assert.rejects(connect({ servers: server.url }));
    await server.stop();
    const withToken = await start({}, { credentials: { token: 'geheim' } });
    const other = await connect({ servers: withToken.url, token: 'geheim' });
    await other.close();
    await assert.rejects(connect({ servers: withToken.url }));
  });

  it('takes a configuration file, with a password of ours on top', async () => {
    const configFile = join(dir, 'my.conf');
    await writeFile(configFile, 'max_payload: 12345\nport: 4\n');
    const server = await start({ configFile });
    assert.deepEqual((await answer(server)).maxPayload, 12_345);
    await server.stop();
    const guarded = await start({ configFile }, { credentials: { user: 'u', pass: 'p' } });
    const nc = await connect({ servers: guarded.url, user: 'u', pass: 'p' });
    assert.equal(nc.info?.max_payload, 12_345);
    await nc.close();
  });

  it('keeps the users of a configuration file, ours among them', async () => {
    const user = (name: string) => `{ user: ${name}, password: ${name} }`;
    const list = `users: [ ${user('ours')}, ${user('other')} ]`;
    const configFile = join(dir, 'users.conf');
    await writeFile(join(dir, 'list.conf'), `${list}\n`);
    for (const content of [
      `authorization { ${list} }`,
      'authorization {\n  include list.conf\n}',
      `accounts { A { ${list} } }`,
      'accounts: { A: { include list.conf }, B: {} }',
      `STAFF = [ ${user('ours')}, ${user('other')} ]\naccounts: { A: { users: $STAFF } }`,
    ]) {
      await writeFile(configFile, `${content}\n`);
      const server = await start(
        { configFile },
        { credentials: { user: 'ours', pass: 'ours' }, withMonitoring: true },
      );
      for (const name of ['ours', 'other']) {
        const connection = await connect({ servers: server.url, user: name, pass: name });
        await connection.close();
      }
      await assert.rejects(connect({ servers: server.url }));
      await server.stop();
    }
  });

  it('serves a broker that logs in as a user of an account', async () => {
    const natsConfig = join(dir, 'accounts.conf');
    await writeFile(
      natsConfig,
      'accounts { STREAMING { users: [ { user: broker, password: b } ] }, OTHER { users: [ { user: o, password: o } ] } }\n',
    );
    const broker = await startBroker({ natsConfig, user: 'broker', pass: 'b', port: 0, clusterId: 'c' });
    await broker.stop();
  });

  it('asks for our password beside accounts that have no users', async () => {
    const configFile = join(dir, 'accounts.conf');
    await writeFile(configFile, 'accounts: { A: {} }\n');
    const server = await start({ configFile }, { credentials: { user: 'u', pass: 'p' } });
    const connection = await connect({ servers: server.url, user: 'u', pass: 'p' });
    await connection.close();
    await assert.rejects(connect({ servers: server.url }));
  });

  it('runs in operator mode, and does not start there with a password that no client could use', async () => {
    const [operator, account] = [nkeys.createOperator(), nkeys.createAccount()];
    const configFile = join(dir, 'operator.conf');
    const preload = `{ ${account.getPublicKey()}: "${accountJwt(operator, account)}" }`;
    await writeFile(
      configFile,
      `operator: "${operatorJwt(operator)}"\nresolver: MEMORY\nresolver_preload: ${preload}\n`,
    );
    const server = await start({ configFile }, { withMonitoring: true });
    assert.notEqual((await answer(server)).nonce, '');
    await server.stop();
    await assert.rejects(
      start({ configFile }, { credentials: { user: 'u', pass: 'p' } }),
      /operator\.conf has an operator.*give the broker --creds/,
    );
  });

  it('asks for our password beside users that are not for its clients', async () => {
    const configFile = join(dir, 'leaf.conf');
    const users = 'users: [ { user: leaf, password: leaf } ]';
    await writeFile(configFile, `leafnodes { port: -1, authorization { ${users} } }\n`);
    const server = await start({ configFile }, { credentials: { user: 'u', pass: 'p' } });
    const connection = await connect({ servers: server.url, user: 'u', pass: 'p' });
    await connection.close();
    await assert.rejects(connect({ servers: server.url }));
  });

  it('reads its configuration file again on request', async () => {
    const configFile = join(dir, 'nats.conf');
    const user = (name: string) => `{ user: ${name}, password: ${name} }`;
    await writeFile(configFile, `authorization { users: [ ${user('old')} ] }\n`);
    const logger = new NotingLogger();
    const server = await start({ configFile }, { logger, withMonitoring: true });
    const { pid } = server;
    await writeFile(configFile, `authorization { users: [ ${user('old')}, ${user('new')} ] }\n`);
    server.reload();
    await logger.until('Reloaded server configuration');
    const connection = await connect({ servers: server.url, user: 'new', pass: 'new' });
    await connection.close();
    assert.equal(server.pid, pid);
  });

  it('takes TLS flags', async () => {
    const certificates = await Certificates.make();
    const server = await start({ flags: certificates.serverFlags });
    assert.equal((await answer(server)).tlsRequired, true);
    await server.stop();
    await certificates.remove();
  });

  it('forms a cluster with a password of its routes, which no argument and no file shows', async () => {
    const [one, two] = [await freePort(), await freePort()];
    const routes = [one, two].map((port) => `nats://route:kanari%23%2Fen%25@127.0.0.1:${port}`);
    const [a, b] = [
      await start({ clusterName: 'c', clusterUrl: routes[0], routes }),
      await start({ clusterName: 'c', clusterUrl: routes[1]?.replace('%23', '#'), routes }),
    ];
    for (const shown of [argumentsOf(a.pid!), argumentsOf(b.pid!), ...filesOf('stanchion-nats-')])
      assert.ok(!shown.includes('kanari'), shown);
    const [here, there] = [await connect({ servers: a.url }), await connect({ servers: b.url })];
    const heard = there.subscribe('x', { max: 1 })[Symbol.asyncIterator]().next();
    await there.flush();
    const timer = setInterval(() => here.publish('x'), 20);
    await heard;
    clearInterval(timer);
    await here.close();
    await there.close();
  });

  it('forms a cluster', async () => {
    const [one, two] = [await freePort(), await freePort()];
    const routes = [`nats://127.0.0.1:${one}`, `nats://127.0.0.1:${two}`];
    const servers = [
      await start({ clusterName: 'c', clusterUrl: routes[0], routes }),
      await start({ clusterName: 'c', clusterUrl: routes[1], routes }),
    ];
    const nc = await connect({ servers: servers[0]!.url });
    const other = await connect({ servers: servers[1]!.url });
    let received: string | undefined;
    nc.subscribe('a', {
      callback: (_, message) => {
        received = message.string();
      },
    });
    await nc.flush();
    await waitFor(() => {
      other.publish('a', 'over the route');
      return received !== undefined;
    }, 'the route stands');
    assert.equal(received, 'over the route');
    await nc.close();
    await other.close();
  });

  it('is started again on the same port when it dies', async () => {
    const logger = new NotingLogger();
    const server = await start({}, { logger });
    const [port, pid] = [server.port, server.pid!];
    process.kill(pid, 'SIGKILL');
    await logger.until('nats-server has died');
    logger.entries.length = 0;
    await logger.until('nats-server takes connections');
    assert.equal(server.port, port);
    assert.notEqual(server.pid, pid);
    assert.equal(server.restarts, 1);
    const nc = await connect({ servers: server.url });
    await nc.close();
  });

  it('is not started again when it dies after stop, or stop comes while it waits', async () => {
    const logger = new NotingLogger();
    const server = await start({}, { logger });
    process.kill(server.pid!, 'SIGKILL');
    await logger.until('nats-server has died');
    await server.stop();
    assert.equal(server.pid, undefined);
    assert.equal(server.restarts, 0);
  });

  it('has its log lines in ours, at their level', async () => {
    const logger = new NotingLogger();
    await start({ flags: ['-D'] }, { logger });
    await logger.until('info Server is ready');
    assert.ok(logger.entries.some((entry) => entry.startsWith('debug ')));
    assert.ok(!logger.entries.some((entry) => /\[INF\]|\[DBG\]/.test(entry)));
  });

  it('is killed when it does not heed SIGTERM', async () => {
    const logger = new NotingLogger();
    const server = await start({}, { logger, stopGraceMs: 50 });
    process.kill(server.pid!, 'SIGSTOP');
    await server.stop();
    await logger.until('warn nats-server does not stop: killing it');
  });

  describe('that cannot be started', () => {
    const failing = (config: Partial<NatsServerConfig>, reason: RegExp, options = {}) =>
      assert.rejects(start(config, options), (error) => {
        assert.ok(error instanceof NatsServerError, String(error));
        assert.match(error.message, reason);
        return true;
      });

    it('since there is no binary: how to get one', async () => {
      await failing(
        {},
        /no nats-server on PATH: install one \(Debian, Ubuntu: apt-get install nats-server\)/,
        { path: dir },
      );
      await failing({ binary: join(dir, 'mine') }, /there is no .*mine: install one/);
    });

    it('since a nats-server has the port: which one', async () => {
      const other = await NatsProcess.start({ args: ['--name', 'the-other'] });
      await failing(
        { port: other.port },
        /port \d+ is taken already, by nats-server the-other .*attach to it with --nats-server nats:/,
      );
      await other.stop();
    });

    it('since one of an earlier broker has the port: whose', async () => {
      const orphan = await start();
      await failing(
        { port: orphan.port },
        new RegExp(`stanchion-${process.pid}-\\w+, which the broker with process id ${process.pid} started`),
      );
    });

    it('since another program has the port', async () => {
      const other = net.createServer((socket) => socket.end('220 smtp\r\n')).listen(0, '127.0.0.1');
      await once(other, 'listening');
      await failing(
        { port: (other.address() as net.AddressInfo).port },
        /taken already, not by a nats-server/,
      );
      other.close();
    });

    it('since its flags are wrong: what it said', async () => {
      await failing({ flags: ['--nonsense'] }, /did not start \(exit code \d+\): .*nonsense/);
      await failing({ configFile: join(dir, 'none.conf') }, /did not start .*none\.conf/);
    });

    it('since it never gets ready', async () => {
      const slow = join(dir, 'slow');
      await writeFile(slow, '#!/bin/sh\nexec sleep 60\n');
      await chmod(slow, 0o755);
      await failing({ binary: slow }, /not ready after 50 ms/, { startTimeoutMs: 50 });
    });
  });

  it('does not outlive a broker that is killed', {
    skip: process.platform !== 'linux' && 'needs Linux',
  }, async () => {
    const broker = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('./run-supervised.ts', import.meta.url))],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: dir } },
    );
    const [line] = (await once(createInterface(broker.stdout), 'line')) as [string];
    const { port } = JSON.parse(line) as { port: number };
    const socket = net.connect(port, '127.0.0.1').resume();
    socket.on('error', () => {});
    await once(socket, 'connect');
    // Not once(): that rejects if the kernel resets the connection instead of closing it.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    broker.kill('SIGKILL');
    await closed;
    await waitFor(
      async () => (await probe('127.0.0.1', port, 1_000, systemClock)).kind === 'none',
      'its port is free',
    );
  });
});

async function answer(server: SupervisedServer) {
  const found = await probe('127.0.0.1', server.port, 1_000, systemClock);
  assert.equal(found.kind, 'nats-server');
  return (found as Extract<typeof found, { kind: 'nats-server' }>).info;
}

/** The arguments of a process, as every user of the machine can see them. */
function argumentsOf(pid: number): string {
  return process.platform === 'linux' ? readFileSync(`/proc/${pid}/cmdline`, 'latin1') : '';
}

/** The content of every file in the temporary folders with a prefix. */
function filesOf(prefix: string): string[] {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(`${prefix}${process.pid}-`));
  return folders.flatMap((folder) =>
    readdirSync(join(tmpdir(), folder)).map((name) => readFileSync(join(tmpdir(), folder, name), 'latin1')),
  );
}
