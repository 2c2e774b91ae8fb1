import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Rig } from '../harness/rig.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const BODY = `
const connection = await connect({ servers: process.argv[2], clusterId: process.argv[3], clientId: process.argv[4] });
const guid = await connection.publish('pack', { n: 1 });
const subscription = await connection.subscribe('pack', { startAt: 'last' });
for await (const message of subscription) {
  console.log(guid.length, message.json().n);
  break;
}
await connection.close();
`;

const TYPED = `
const use = async (): Promise<void> => {
  const connection: StanConnection = await connect({ clusterId: 'c', clientId: 'me', user: 'u', pass: 'p' });
  const guid: string = await connection.publish('a', new Uint8Array(1));
  await connection.subscribe(guid, { startAt: { timeAgo: 1 }, callback: (_error, message: Message) => message.ack() });
  // @ts-expect-error: it is a number
  connection.subscribe('a', { ackWait: '1s' });
};
const start = async (log: Logger): Promise<RunningBroker> => {
  const channels = { 'a.>': { maxMsgs: 1, maxAge: '1h' } };
  const options: BrokerOptions = { clusterId: 'c', port: 0, store: 'file', dir: 'd', maxAge: 1_000, hbInterval: '1s', channels, log };
  const { urls }: { urls: readonly string[] } = await startBroker({ ...options, natsServer: ['nats://a', 'nats://b'] });
  // @ts-expect-error: it is a number
  await startBroker({ maxMsgs: true });
  // @ts-expect-error: there is no such option
  await startBroker({ maxMessages: 1 });
  return startBroker({ natsServer: urls.join() });
};
console.log(use, start);
`;

/** What the client needs, and with what it comes. */
const CLIENT_PACKAGES = ['stanchion', '@nats-io', '@bufbuild/protobuf', 'tweetnacl'];

/** Prints all that can be reached from nats.js, of either version, and from Node's sockets: names, and what functions do. */
const HOST = `
import { createRequire } from 'node:module';
const [, , role, servers, clusterId, clientId] = process.argv;
const require = createRequire(import.meta.url);
if (role === 'guest') {
  const { connect } = await import('stanchion');
  const connection = await connect({ servers, clusterId, clientId });
  await connection.publish('pack', 'x');
  await connection.close();
  const { startBroker } = await import('stanchion/server');
  await (await startBroker({ natsServer: servers, clusterId: clientId })).stop();
}
// The package makes that with the first inbox: a broker has one, and so has any host.
require('nats').nuid.next();
const seen = new Set();
function walk(path, value) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) return;
  seen.add(value);
  if (typeof value === 'function') console.log(path, JSON.stringify(Function.prototype.toString.call(value)));
  for (const name of Reflect.ownKeys(value)) {
    const { value: inner, get, set } = Object.getOwnPropertyDescriptor(value, name);
    const at = path + '.' + String(name);
    console.log(at);
    walk(at, inner);
    walk(at + ' (get)', get);
    walk(at + ' (set)', set);
    // The modules of nats.js give what they have by getters.
    if (get !== undefined && !path.includes('prototype')) walk(at, Reflect.apply(get, value, []));
  }
  walk(path + '.[prototype]', Object.getPrototypeOf(value));
}
for (const name of ['nats', 'nats/lib/src/node_transport.js', '@nats-io/transport-node', 'node:events', 'node:net'])
  walk(name, require(name));
console.log(Reflect.ownKeys(globalThis), process.eventNames());
`;

describe('the package, as npm installs it', () => {
  const rig = new Rig({ store: 'memory' });
  let folder: string;
  let packed: { filename: string; files: { path: string }[] };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-package-'));
    const [first] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'ignore'],
      }).toString(),
    );
    packed = first;
    writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n');
    const types = join(ROOT, 'node_modules', '@types', 'node');
    // A program may have the nats package as well.
    const nats = join(ROOT, 'node_modules', 'nats');
    const install = [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      join(folder, packed.filename),
      types,
      nats,
    ];
    execFileSync('npm', install, { cwd: folder, stdio: 'ignore' });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('holds the build, the source maps of its bundle and the licences in that, and no tests or sources', () => {
    const paths = packed.files.map(({ path }) => path);
    for (const path of [
      'dist/index.js',
      'dist/index.d.ts',
      'dist/server.d.ts',
      'dist/cli/main.js',
      'dist/cli/main.js.map',
      'dist/cli/third-party-licenses.txt',
      'README.md',
      'LICENSE',
      'package.json',
    ])
      assert.ok(paths.includes(path), path);
    const unwanted = paths.filter((path) => /(^|\/)test|(?<!\.d)\.ts$|^src/.test(path));
    assert.deepEqual(unwanted, []);
  });

  for (const [name, file, head] of [
    ['an ES module', 'esm.mjs', "import { connect } from 'stanchion';"],
    ['CommonJS', 'cjs.cjs', "const { connect } = require('stanchion');"],
    ['an ES module that names the client', 'client.mjs', "import { connect } from 'stanchion/client';"],
    ['CommonJS that names the client', 'client.cjs', "const { connect } = require('stanchion/client');"],
  ] as const) {
    it(`works from ${name}`, () => {
      const body = file.endsWith('.cjs') ? `(async () => {${BODY}})();` : BODY;
      writeFileSync(join(folder, file), `${head}\n${body}`);
      const args = [file, rig.nats.url, rig.broker.clusterId, rig.name('client')];
      assert.equal(execFileSync(process.execPath, args, { cwd: folder }).toString(), '22 1\n');
    });
  }

  for (const [module, ...files] of [
    ['nodenext', 'typed.mts', 'typed.cts'],
    ['node16', 'typed.mts', 'typed.cts'],
    // As bundlers resolve.
    ['preserve', 'typed.mts'],
  ] as const) {
    it(`carries types, for either kind of module: ${module}`, () => {
      const head = [
        "import { connect, type Message } from 'stanchion';",
        "import type { StanConnection } from 'stanchion/client';",
        "import { type BrokerOptions, type Logger, type RunningBroker, startBroker } from 'stanchion/server';",
      ].join('\n');
      for (const file of files) writeFileSync(join(folder, file), `${head}\n${TYPED}`);
      const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
      const flags = ['--noEmit', '--strict', '--module', module, '--target', 'es2022', '--types', 'node'];
      const args = [tsc, ...flags, ...files];
      try {
        execFileSync(process.execPath, args, { cwd: folder });
      } catch (error) {
        assert.fail((error as { stdout: Buffer }).stdout.toString());
      }
    });
  }

  it('leaves nats.js, and the rest of the program that imports it, as they are', () => {
    writeFileSync(join(folder, 'host.mjs'), HOST);
    const report = (...args: string[]): string[] =>
      execFileSync(process.execPath, ['host.mjs', ...args], { cwd: folder, maxBuffer: 64 * 1024 * 1024 })
        .toString()
        .split('\n');
    const alone = report('alone');
    const dial = 'nats/lib/src/node_transport.js.NodeTransport.prototype.dial';
    assert.ok(alone.includes(dial));
    const guest = report('guest', rig.nats.url, rig.broker.clusterId, rig.name('client'));
    const before = new Set(alone);
    assert.deepEqual(
      guest.filter((line) => !before.has(line)),
      [],
    );
    assert.equal(guest.length, alone.length);
  });

  it('has a client that works without what only a broker needs', () => {
    const bare = join(folder, 'bare');
    mkdirSync(bare);
    for (const name of CLIENT_PACKAGES) {
      const place = join('node_modules', name);
      cpSync(join(folder, place), join(bare, place), { recursive: true });
    }
    writeFileSync(join(bare, 'esm.mjs'), `import { connect } from 'stanchion/client';\n${BODY}`);
    const args = ['esm.mjs', rig.nats.url, rig.broker.clusterId, rig.name('client')];
    assert.equal(execFileSync(process.execPath, args, { cwd: bare }).toString(), '22 1\n');
  });

  it('has the command', () => {
    const command = join(folder, 'node_modules', '.bin', 'stanchion');
    assert.match(execFileSync(command, ['--version'], { cwd: folder }).toString(), /^\d+\.\d+\.\d+\n$/);
  });
});
