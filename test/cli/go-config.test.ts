import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/index.js';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

const DATA = fileURLToPath(new URL('../data/go-conf/', import.meta.url));
const POD = { POD_NAME: 'stan-0', CLUSTER_ADVERTISE: '127.0.0.1' };
const GO_SERVER = process.env.GO_SERVER;

const children: Child[] = [];
let main: string[];
let folder: string;

before(async () => {
  main = await mainScript();
  folder = mkdtempSync(join(tmpdir(), 'stanchion-go-config-'));
});

after(async () => {
  await Promise.all(children.map((child) => child.destroy()));
  rmSync(folder, { recursive: true, force: true });
});

function start(...args: string[]): Child {
  const child = new Child(process.execPath, [...main, ...args], POD);
  children.push(child);
  return child;
}

async function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = start(...args);
  const { code } = await child.exit;
  return { code, output: child.output };
}

async function says(child: Child, text: string): Promise<void> {
  await waitFor(
    () => child.output.includes(text),
    () => `"${text}" is said, and not only:\n${child.output}`,
  );
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const user = (name: string) => `{ user: ${name}, password: ${name} }`;

describe('a broker that is started with a configuration file of the Go server', () => {
  it('serves as that says, beside a nats-server that has its part of the file', async () => {
    const [port, httpPort] = [await freePort(), await freePort()];
    const broker = start(
      ...['serve', '-sc', join(DATA, 'every-key.conf'), '-dir', join(folder, 'store')],
      ...['-p', String(port), '-m', String(httpPort)],
    );
    await says(broker, 'Streaming Server is ready');
    const servers = `nats://127.0.0.1:${port}`;
    const options = { servers, clusterId: 'orders', clientId: 'c' };
    await assert.rejects(connect(options), 'the users of the file');
    const connection = await connect({ ...options, user: 'app', pass: 'app' });
    await Promise.all(Array.from({ length: 103 }, () => connection.publish('sensors.a', 'x')));
    await connection.close();
    const answer = await fetch(`http://127.0.0.1:${httpPort}/streaming/channelsz?channel=sensors.a`);
    const { msgs, first_seq: first } = (await answer.json()) as { msgs: number; first_seq: number };
    assert.deepEqual([msgs, first], [100, 4], 'the limit of the channel');
    const varz = (await (await fetch(`http://127.0.0.1:${httpPort}/varz`)).json()) as Record<string, unknown>;
    assert.deepEqual(
      [varz.server_name, varz.max_payload, varz.max_connections],
      ['stan-0', 2 * 1024 ** 2, 1000],
    );

    const [, conf = ''] = /Using configuration file: (\S+\/nats\.conf)/.exec(broker.output) ?? [];
    const part = join(dirname(conf), 'part.conf');
    assert.equal(statSync(part).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(part, 'utf8'), /^ *streaming|http/m);
    assert.equal((await broker.end('SIGTERM')).code, 0);
    assert.equal(existsSync(part), false);
  });

  it('reads it again on SIGHUP, and goes on as it is if it has an error', async () => {
    const port = await freePort();
    const path = write(
      'reload.conf',
      `streaming { id: c, username: a, password: a }\nauthorization { users: [ ${user('a')} ] }`,
    );
    const broker = start('serve', '-sc', path, '-p', String(port));
    await says(broker, 'Streaming Server is ready');
    const logIn = (name: string) =>
      connect({
        servers: `nats://127.0.0.1:${port}`,
        clusterId: 'c',
        clientId: name,
        user: name,
        pass: name,
      });
    await assert.rejects(logIn('b'));

    write(
      'reload.conf',
      `streaming { id: c, username: a, password: a, hbi: "9s" }\nauthorization { users: [ ${user('a')}, ${user('b')} ] }`,
    );
    broker.signal('SIGHUP');
    await says(broker, 'Reloaded server configuration');
    await (await logIn('b')).close();
    assert.match(
      broker.output,
      /"options":\["hb-interval"\],"msg":"these options changed; they take effect after a restart"/,
    );

    write('reload.conf', 'streaming {');
    broker.signal('SIGHUP');
    await says(broker, 'nats-server goes on as it is');
    assert.match(
      broker.output,
      /reload\.conf, line 1, column 11: a \{ is not closed","msg":"the configuration has an error/,
    );
    await (await logIn('b')).close();
    assert.equal((await broker.end('SIGTERM')).code, 0);
  });
});

describe('stanchion serve -t', () => {
  it('checks a configuration of any kind, and says that it is right in one line', async () => {
    const own = write('own.yaml', 'cluster-id: c\nstore: file\ndir: d\n');
    for (const [args, line] of [
      [
        ['-t', '-sc', join(DATA, 'chart-defaults.conf')],
        'cluster "stan", messages in /data/stan/store, with a nats-server on port 4222',
      ],
      [['-t', '-c', own], 'cluster "c", messages in d, with a nats-server on port 4222'],
      [['-t', '-ns', 'nats://h:4'], 'cluster "test-cluster", messages in memory, attached to nats://h:4'],
    ] as const)
      assert.deepEqual(await run('serve', ...args), {
        code: 0,
        output: `the configuration is right: ${line}\n`,
      });
  });

  it('ends with exit code 2 and all that is wrong, also for the nats-server', async () => {
    const wrong = write('wrong.conf', 'streaming {\n  encrypt: on\n  hbi: 5m\n}');
    const { code, output } = await run('serve', '-t', '-sc', wrong);
    assert.equal(code, 2);
    assert.match(
      output,
      /^stanchion: .*line 2: streaming\.encrypt is not supported.*\n.*line 3: streaming\.hbi must be/,
    );
    const forNats = write('for-nats.conf', 'streaming {\n}\nmax_pailoat: 3');
    assert.deepEqual(await run('serve', '-t', '-sc', forNats), {
      code: 2,
      output: `stanchion: the nats-server refuses its configuration: nats-server: ${forNats}:3:1: unknown field "max_pailoat"\n`,
    });
  });
});

describe('stanchion config from', () => {
  it('prints a file of stanchion, and writes the part of the nats-server', async () => {
    copyFileSync(join(DATA, 'every-key.conf'), join(folder, 'from.conf'));
    const nats = join(folder, 'nats.conf');
    const translate = ['config', 'from', join(folder, 'from.conf'), '--nats-config-to', nats];
    const { code, output } = await run(...translate);
    assert.equal(code, 0);
    assert.match(output, new RegExp(`^nats-config: ${nats}$`, 'm'));
    assert.equal(statSync(nats).mode & 0o777, 0o600);
    const yaml = write('to.yaml', output.slice(output.indexOf('# What')));
    assert.deepEqual(await run('serve', '-t', '--config', yaml), {
      code: 0,
      output:
        'the configuration is right: cluster "orders", messages in store, with a nats-server on port 4333\n',
    });
    const again = await run(...translate);
    assert.equal(again.code, 2);
    assert.match(again.output, /nats\.conf already: remove it, or name another one/);
    assert.match((await run('config', 'from', yaml)).output, /is a config file of stanchion already/);
  });
});

describe('the Go server itself', {
  skip: GO_SERVER === undefined && 'GO_SERVER does not name its binary',
}, () => {
  for (const name of ['every-key', 'chart-defaults', 'chart-ft'])
    it(`starts with ${name}.conf`, async () => {
      const args = ['-sc', join(DATA, `${name}.conf`), '-p', String(await freePort()), '-m', '0'];
      const server = new Child(
        GO_SERVER ?? '',
        [
          ...args,
          '-a',
          '127.0.0.1',
          '-cluster',
          `nats://127.0.0.1:${await freePort()}`,
          '-dir',
          join(folder, name),
          '-P',
          join(folder, `${name}.pid`),
        ],
        POD,
      );
      children.push(server);
      await waitFor(
        () => server.hasExited || /Streaming Server is ready|STREAM: FT/.test(server.output),
        () => `it is ready; it said:\n${server.output}`,
      );
      assert.equal(server.hasExited, false, server.output);
      await server.end('SIGTERM');
    });
});
