import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DrillReport } from '../../src/drill/report.js';
import { connect } from '../../src/index.js';
import { Broker, mainScript } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';
import { get, getJson } from '../http/http-rig.js';
import { NatsProcess } from '../nats/nats-process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

const MAIN = await mainScript();

/** Sets back the clock that a process has from its start on: as on a machine on which all before takes no time. */
const JUST_STARTED = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(
    'const now = performance.now.bind(performance); performance.now = () => now() - 10_000;',
  )}`,
};

/** Those that a test that has failed leaves behind are ended. */
const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** The command, as an operator runs it. */
class Command {
  readonly ended: Promise<Ended>;
  hasEnded = false;
  stderr = '';
  readonly #child: ChildProcess;

  constructor(environment: Readonly<Record<string, string>>, ...args: string[]) {
    const child = spawn(process.execPath, [...MAIN, 'drill', ...args], {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Of its own, as at a terminal: Ctrl-C is for all of it.
      detached: true,
    });
    this.#child = child;
    running.add(child);
    child.on('close', () => {
      this.hasEnded = true;
      running.delete(child);
    });
    let stdout = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr: this.stderr }));
    });
  }

  /** What a terminal does with Ctrl-C. */
  interrupt(): void {
    process.kill(-this.#child.pid!, 'SIGINT');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function drill(...args: string[]): Promise<Ended> {
  return await drillIn({}, ...args);
}

async function drillIn(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended> {
  return await new Command(environment, ...args).ended;
}

function reportOf({ stdout, stderr }: Ended): DrillReport {
  assert.ok(stdout.startsWith('{'), `a report in JSON: ${stdout}\n${stderr}`);
  return JSON.parse(stdout) as DrillReport;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stanchion-drill-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('stanchion drill, on a group that it starts', { concurrency: 1 }, () => {
  it('does each fault once, and finds everything where it should be, whatever the environment has for brokers', {
    timeout: 120_000,
  }, async () => {
    const dir = join(folder, 'new');
    const environment = {
      STANCHION_MAX_AGE: '1s',
      STANCHION_MAX_CHANNELS: '1',
      STANCHION_HTTP_PORT: '1',
      STANCHION_CREDS: join(folder, 'nothing'),
    };
    const ended = await drillIn(
      environment,
      ...['--takeovers', '1', '--messages', '3000', '--rate', '300', '--pause', '1s', '--settle', '100ms'],
      ...['--dir', dir, '--json'],
    );
    const report = reportOf(ended);
    assert.deepEqual([ended.exitCode, report.verdict, report.failures], [0, 'passed', []], ended.stderr);
    assert.deepEqual(
      report.takeovers.map(({ fault }) => fault),
      ['term', 'kill', 'pause', 'handover', 'cut'],
    );
    for (const { fault, outageMs, from, to, epoch, recoveryMs, servedAfterMs, reason } of report.takeovers) {
      assert.notEqual(from, to, fault);
      assert.ok(epoch >= 2 && recoveryMs > 0 && reason !== '' && servedAfterMs! > 0, fault);
      // No ack can come from nobody: whoever was paused or cut off is missed for a lease at least.
      assert.ok(outageMs > (fault === 'pause' || fault === 'cut' ? 500 : 5), `${fault}: ${outageMs}`);
    }
    for (const { fault, takeovers, outageMs, acked, lost } of report.rows.slice(1)) {
      assert.ok(takeovers === 1 && acked > 0 && lost === 0, `${fault}: ${takeovers} ${acked} ${lost}`);
      assert.equal(outageMs!.max, outageMs!.p50, fault);
    }
    const [load, probe, stored] = report.channels;
    assert.equal(stored!.stored, 3_001, 'what was stored before, and the last message');
    assert.ok(load!.stored > 1_000 && probe!.stored > 100);
    assert.equal(load!.stored + probe!.stored + stored!.stored, report.total.acked);
    assert.deepEqual(
      report.subscriptions.map(({ name, received, missing }) => [name, received, missing]),
      ['durable', 'queue group', 'regular'].map((name) => [name, load!.stored, 0]),
    );
    assert.match(
      ended.stderr,
      /^kill 1 of 1: stan-\d to stan-\d, \d+ ms without an ack, (not )?served as before .*; \d+ acked$/m,
    );
    // It keeps the files in a folder that was named, for it alone.
    assert.deepEqual(readdirSync(dir).sort(), ['.stanchion-drill', 'logs', 'store']);
    assert.match(readFileSync(join(dir, 'logs', 'stan-1.log'), 'utf8'), /Standby: watching/);
  });

  it('ends at Ctrl-C with what it knows, and leaves no process paused', { timeout: 60_000 }, async () => {
    const dir = join(folder, 'new');
    const command = new Command(
      {},
      ...['--nodes', '2', '--faults', 'handover=1,pause=1', '--settle', '100ms', '--dir', dir],
    );
    await waitFor(() => command.stderr.includes('handover 1 of 1'), 'the first fault is over', 30_000);
    // In the middle of the pause.
    await waitFor(
      () => /taking over in epoch 3/.test(logs(dir)),
      () => `another one takes over: ${logs(dir)}`,
      30_000,
    );
    command.interrupt();
    const { exitCode, stdout, stderr } = await command.ended;
    assert.equal(exitCode, 130, stderr);
    assert.match(stdout, /^handover +1 +\d+ /m);
    assert.match(stdout, /^INTERRUPTED: nothing is wrong after \d takeovers?, but not all was tried\.$/m);
    assert.deepEqual(processesWith(dir), [], 'no broker is left');
  });

  it('takes no flag that it does not know, and none without its value', async () => {
    for (const [flag, says] of [
      ['--bogus', /unknown flag --bogus/],
      ['--rate', /--rate needs a value/],
    ] as const) {
      const { exitCode, stdout, stderr } = await drill(flag);
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, says);
    }
  });

  it('takes no options for its brokers from a file, and says which it was given', async () => {
    const config = join(folder, 'broker.yaml');
    for (const [file, says] of [
      ['ft-lease: 2s', /broker\.yaml: ft-lease is for a broker, .* name a running group with --nats-server/],
      ['channels: { a: { max-age: 1h } }', /the limits of a is for a broker/],
    ] as const) {
      writeFileSync(config, `takeovers: 1\n${file}\n`);
      const { exitCode, stderr } = await drill('--config', config);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, says);
    }
  });

  it('touches no folder that is not its own', async () => {
    const note = join(folder, 'note.txt');
    writeFileSync(note, 'mine');
    const { exitCode, stderr } = await drill('--dir', folder);
    assert.equal(exitCode, 2);
    assert.match(stderr, /--dir .* is not empty, and its files are not from a drill/);
    assert.deepEqual(readdirSync(folder), ['note.txt']);
    writeFileSync(join(folder, '.stanchion-drill'), `${process.pid}\n`);
    assert.match((await drill('--dir', folder)).stderr, /is in use by the drill of process \d+/);
    assert.ok(existsSync(note));
  });
});

describe('stanchion drill, on a group that runs', { concurrency: 1 }, () => {
  let nats: NatsProcess;
  let brokers: Broker[] = [];
  before(async () => {
    nats = await NatsProcess.start();
  });
  after(() => nats.stop());
  afterEach(async () => {
    await Promise.all(brokers.map((broker) => broker.destroy()));
    brokers = [];
  });

  async function startGroup(...flags: string[]): Promise<void> {
    const start = (node: string): Promise<Broker> =>
      Broker.start({
        natsUrl: nats.url,
        clusterId: 'live',
        store: 'file',
        dir: join(folder, 'store'),
        flags: ['--ft-group', 'g', '--node-name', node, ...flags],
      });
    brokers = await Promise.all([start('a'), start('b')]);
  }

  const live = (...args: string[]): Promise<Ended> => liveIn({}, ...args);
  const liveIn = (environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended> =>
    keyless(environment, '--dir', join(folder, 'store'), ...args);
  const keyless = (environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended> =>
    drillIn(
      environment,
      ...['--nats-server', nats.url, '--cluster-id', 'live', '--settle', '100ms', '--rate', '200', ...args],
    );

  it('says what it does, asks it to hand over, and signals no process unless allowed to', {
    timeout: 60_000,
  }, async () => {
    await startGroup();
    const ended = await liveIn(JUST_STARTED, '--takeovers', '1', '--messages', '100', '--json');
    const report = reportOf(ended);
    assert.deepEqual([ended.exitCode, report.verdict], [0, 'passed'], ended.stderr);
    assert.match(ended.stderr, /^storing: \d+ of 100 messages$/m, 'also as soon after its start as here');
    assert.deepEqual([report.clusterId, report.group, report.members], ['live', 'g', 2]);
    assert.deepEqual(
      report.takeovers.map(({ fault }) => fault),
      ['handover'],
    );
    assert.equal(report.total.unexpected, 0);
    assert.ok(
      brokers.every(({ hasExited }) => !hasExited),
      'both processes are those that were there before',
    );

    const without = await keyless({});
    assert.equal(without.exitCode, 2);
    assert.match(
      without.stderr,
      /follows only who proves to have the key of its store: give .* --dir, or .* --group-key/,
    );

    const refused = await live('--faults', 'pause');
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /add --allow-signals .* Without it only handover is possible/);

    const pause = ['--faults', 'pause', '--takeovers', '1', '--pause', '1s', '--messages', '0'];
    const { exitCode, stdout, stderr } = await live(...pause, '--allow-signals');
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^pause +1 +\d+ +\d+ +\d+ .* 0 +0 +\d+ +\d+ +0$/m);
    assert.match(stdout, /^PASSED: \d+ messages were acknowledged, and each is stored once/m);
  });

  /** Channels that there are, and who is left in them. */
  async function left(): Promise<{ channels: string[]; subscriptions: number; clients: number }> {
    for (const broker of brokers) {
      if ((await get(broker, '/streaming/isFTActive')).status !== 200) continue;
      const { channels } = (await getJson(broker, '/streaming/channelsz?subs=1')) as {
        channels: { name: string; subscriptions?: unknown[] }[];
      };
      const { clients } = (await getJson(broker, '/streaming/serverz')) as { clients: number };
      const subscriptions = channels.reduce((sum, each) => sum + (each.subscriptions ?? []).length, 0);
      return { channels: channels.map(({ name }) => name).sort(), subscriptions, clients };
    }
    throw new Error('nobody is active');
  }

  it('uses the same three channels each time, and leaves no client in them, also after a kill and Ctrl-C', {
    timeout: 60_000,
  }, async () => {
    await startGroup('--http-port', '-1');
    const start = async (settle: string): Promise<Command> => {
      const command = new Command(
        {},
        ...['--nats-server', nats.url, '--cluster-id', 'live', '--messages', '100', '--rate', '200'],
        ...['--takeovers', '1', '--settle', settle, '--dir', join(folder, 'store')],
      );
      const isThere = (): boolean => /storing|Another/.test(command.stderr);
      await waitFor(
        () => isThere() || command.hasEnded,
        () => `it is at work, or refused; it said:\n${command.stderr}`,
        30_000,
      );
      assert.ok(isThere(), `it ended before it was at work, or refused; it said:\n${command.stderr}`);
      return command;
    };
    const channels = ['load', 'probe', 'stored'].map((name) => `stanchion.drill.${name}`);
    const nothingLeft = { channels, subscriptions: 0, clients: 0 };

    const killed = await start('1h');
    const second = await (await start('1h')).ended;
    assert.equal(second.exitCode, 1);
    assert.match(second.stderr, /clientID already registered\. Another drill is at work on this group: wait/);
    killed.kill();
    await killed.ended;
    // For its durable, which nobody has unsubscribed.
    const stranger = await connect({ clusterId: 'live', clientId: 'stranger', servers: nats.url });
    await stranger.publish(channels[0]!, 'of no drill');
    await stranger.close();
    assert.notEqual((await left()).subscriptions, 0, 'the durable of the one that was killed');

    const { exitCode, stdout, stderr } = await (await start('0s')).ended;
    assert.equal(exitCode, 0, stdout + stderr);
    assert.deepEqual(await left(), nothingLeft);

    const interrupted = await start('1h');
    interrupted.interrupt();
    assert.equal((await interrupted.ended).exitCode, 130);
    assert.deepEqual(await left(), nothingLeft);
  });

  it('fails if acknowledged messages are gone: here a limit has removed them', {
    timeout: 60_000,
  }, async () => {
    await startGroup('--max-msgs', '50');
    const { exitCode, stdout } = await live('--takeovers', '1', '--messages', '100');
    assert.equal(exitCode, 1);
    assert.match(stdout, /^FAILED: .*51 removed by the limits of stanchion\.drill\.stored/m);
  });

  it('fails if no member takes over in time, and wakes the one that was paused', {
    timeout: 60_000,
  }, async () => {
    await startGroup('--ft-lease', '5s');
    const pause = ['--faults', 'pause', '--takeovers', '1', '--timeout', '1s', '--messages', '0'];
    const { exitCode, stdout, stderr } = await live(...pause, '--allow-signals');
    assert.equal(exitCode, 1, stderr);
    assert.match(
      stdout,
      /^FAILED: a takeover from [ab] after pause: not within 1 s\. Members that answer: [ab] standby/m,
    );
    // It could be read back: the one that was paused serves again.
    assert.match(stdout, /^all +0 .* \d+ +0 +0 +0 +0 +0$/m);
  });

  it('names the member that is missing, after it has asked a few times', async () => {
    const before = await connectionsOf(nats.url);
    const { exitCode, stderr } = await keyless({});
    assert.equal(exitCode, 1);
    const asked = (await connectionsOf(nats.url)) - before;
    assert.ok(asked < 50, `${asked} connections`);
    assert.match(stderr, /no member of cluster "live" answers/);
    const nowhere = await drill('--nats-server', 'nats://127.0.0.1:1');
    assert.equal(nowhere.exitCode, 1);
    assert.match(nowhere.stderr, /NATS cannot be reached at nats:\/\/127\.0\.0\.1:1/);
  });
});

/** How many connections a nats-server has taken, this one included: it numbers them. */
async function connectionsOf(url: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  try {
    const [info] = await once(socket, 'data');
    return Number(/"client_id":(\d+)/.exec(String(info))?.[1]);
  } finally {
    socket.destroy();
  }
}

/** What the members of a drill's group have logged. */
function logs(dir: string): string {
  const folder = join(dir, 'logs');
  if (!existsSync(folder)) return '';
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
}

/** Command lines that name the folder. Where there is no /proc, none is seen. */
function processesWith(dir: string): string[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(dir));
}
