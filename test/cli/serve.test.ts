import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/version.js';
import { waitFor } from '../harness/wait.js';

const PROGRAM = fileURLToPath(new URL('./fake-broker.ts', import.meta.url));

/** A test that fails leaves its program running, which would keep this process. */
const programs: ChildProcess[] = [];

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'stanchion-cli-'));
});

after(() => {
  for (const program of programs) program.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('stanchion', { concurrency: 2 }, () => {
  it('explains itself, with an example', async () => {
    const { exitCode, stdout } = await run(['--help']).ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /stanchion serve +Run one broker/);
    assert.match(stdout, /Examples:\n +stanchion serve --store file/);
  });

  it('prints its version', async () => {
    for (const args of [['--version'], ['serve', '-v']]) {
      assert.deepEqual(await run(args).ended, { exitCode: 0, stdout: `${VERSION}\n`, stderr: '' });
    }
  });

  it('needs a command that there is', async () => {
    assert.deepEqual(await run([]).ended, {
      exitCode: 2,
      stdout: '',
      stderr: 'stanchion: Name a command. `stanchion --help` lists them\n',
    });
    const { exitCode, stderr } = await run(['serv']).ended;
    assert.equal(exitCode, 2);
    assert.match(stderr, /Did you mean serve\?/);
  });

  it('takes flags alone for `serve`: the Go server has no commands', async () => {
    const process = run(['-cid', 'x', '-st', 'FILE', '-dir', 'd']);
    await process.prints('Streaming Server is ready');
    process.signal('SIGTERM');
    const { exitCode, stdout } = await process.ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /"clusterId":"x","store":"file"/);
  });
});

describe('stanchion serve', { concurrency: 2 }, () => {
  it('explains every flag, with its default and its short form', async () => {
    const { exitCode, stdout } = await run(['serve', '--help']).ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /--cluster-id .*\(-cid\) +\[default: test-cluster\]/);
    assert.match(stdout, /--max-bytes .*\(-mb\) +\[default: 1000000\*1024\]/);
    assert.match(stdout, /--log-format .*\[default: pretty on a terminal, else json\]/);
    assert.match(stdout, /Examples:\n +stanchion serve/);
  });

  it('ends with 2 and one line if the configuration is wrong', async () => {
    assert.deepEqual(await run(['serve', '--max-mgs', '5']).ended, {
      exitCode: 2,
      stdout: '',
      stderr: 'stanchion: unknown flag --max-mgs: did you mean --max-msgs?\n',
    });
    const { exitCode, stderr } = await run(['serve'], { STANCHION_PORT: 'x' }).ended;
    assert.equal(exitCode, 2);
    assert.match(stderr, /^stanchion: environment variable STANCHION_PORT: .*\n$/);
  });

  it('ends with 1 and one line if the broker cannot start', async () => {
    const { exitCode, stdout, stderr } = await run(['serve', '-T=false'], { FAKE_BROKER: 'fail to start' })
      .ended;
    assert.deepEqual([exitCode, stdout, stderr], [1, '{"level":"error","msg":"port 4222 is taken"}\n', '']);
  });

  it('shows where an error came from when it debugs', async () => {
    const { stdout } = await run(['serve', '-D'], { FAKE_BROKER: 'fail to start' }).ended;
    assert.match(stdout, /"stack":"Error: port 4222 is taken\\n/);
  });

  it('ends with 1 if the broker breaks later', async () => {
    const { exitCode, stdout } = await run(['serve'], { FAKE_BROKER: 'break' }).ended;
    assert.equal(exitCode, 1);
    assert.match(stdout, /"level":"error".*"msg":"the disk is gone"}\n$/);
  });

  it('ends with 1 and the stack on an unhandled error', async () => {
    for (const [behaviour, message] of [
      ['throw', 'thrown from a timer'],
      ['reject', 'rejected without a handler'],
    ]) {
      const { exitCode, stdout } = await run(['serve'], { FAKE_BROKER: behaviour! }).ended;
      assert.equal(exitCode, 1);
      assert.match(stdout, new RegExp(`"message":"${message}","stack":`));
    }
  });

  it('stops cleanly on SIGTERM and on SIGINT, and ends with 0', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const process = run(['serve']);
      await process.prints('Streaming Server is ready');
      process.signal(signal);
      const { exitCode, stdout } = await process.ended;
      assert.equal(exitCode, 0);
      assert.match(
        stdout,
        new RegExp(`"signal":"${signal}","msg":"asked to stop"}\n.*"msg":"store closed"}\n$`),
      );
    }
  });

  it('stops while it still waits for NATS', async () => {
    const process = run(['serve'], { FAKE_BROKER: 'wait for NATS' });
    await process.prints('waiting for NATS');
    process.signal('SIGTERM');
    assert.equal((await process.ended).exitCode, 0);
  });

  it('closes what it has opened by then', async () => {
    const process = run(['serve'], { FAKE_BROKER: 'wait for NATS with a store' });
    await process.prints('waiting for NATS');
    process.signal('SIGTERM');
    const { exitCode, stdout } = await process.ended;
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /"msg":"asked to stop"}\n.*"msg":"store closed"}\n.*"level":"info".*"msg":"stopped before it was ready"}\n$/,
    );
  });

  it('ends at once with 1 on a second signal', async () => {
    const process = run(['serve'], { FAKE_BROKER: 'never stop' });
    await process.prints('Streaming Server is ready');
    process.signal('SIGTERM');
    await process.prints('"asked to stop"');
    process.signal('SIGINT');
    assert.equal((await process.ended).exitCode, 1);
  });

  it('turns debug messages on and off on SIGUSR2', async () => {
    const process = run(['serve']);
    await process.prints('Streaming Server is ready');
    for (const level of ['debug', 'info']) {
      process.signal('SIGUSR2');
      // A name of its own: a line with two of one name is refused by many that collect logs.
      await process.prints(`"logLevel":"${level}","msg":"log level changed"`);
    }
    process.signal('SIGTERM');
    assert.equal((await process.ended).exitCode, 0);
  });

  it('goes on in a new log file on SIGUSR1, when the one before was renamed', async () => {
    const file = join(folder, 'rotated.log');
    const process = run(['serve', '--log-file', file]);
    const has = (path: string, text: string) => () =>
      existsSync(path) && readFileSync(path, 'utf8').includes(text);
    await waitFor(has(file, 'Streaming Server is ready'), 'it is ready');
    renameSync(file, `${file}.1`);
    process.signal('SIGUSR1');
    await waitFor(has(file, 'the log file was reopened'), 'the new log file');
    process.signal('SIGTERM');
    assert.equal((await process.ended).exitCode, 0);
    assert.match(readFileSync(file, 'utf8'), /asked to stop/);
    assert.doesNotMatch(readFileSync(`${file}.1`, 'utf8'), /asked to stop/);
  });

  it('goes on in the same log file if there can be no new one, and says so', async () => {
    const logs = join(folder, 'logs');
    mkdirSync(logs);
    const process = run(['serve', '--log-file', join(logs, 'log')]);
    const kept = join(folder, 'kept');
    const has = (path: string, text: string) => () =>
      existsSync(path) && readFileSync(path, 'utf8').includes(text);
    await waitFor(has(join(logs, 'log'), 'Streaming Server is ready'), 'it is ready');
    renameSync(logs, kept);
    process.signal('SIGUSR1');
    await waitFor(has(join(kept, 'log'), 'cannot be reopened'), 'the error');
    process.signal('SIGTERM');
    assert.equal((await process.ended).exitCode, 0);
  });

  it('opens no port for a debugger on SIGUSR1', async () => {
    const process = run(['serve']);
    await process.prints('Streaming Server is ready');
    process.signal('SIGUSR1');
    await process.prints('there is no log file to reopen');
    process.signal('SIGTERM');
    const { exitCode, stderr } = await process.ended;
    assert.equal(exitCode, 0);
    assert.doesNotMatch(stderr, /Debugger listening/);
  });

  it('reads the log level again on SIGHUP, and says what else has changed and has to wait', async () => {
    const file = join(folder, 'reload.yaml');
    writeFileSync(file, 'log-level: info\nmax-msgs: 10\n');
    const process = run(['serve', '--config', file]);
    await process.prints('Streaming Server is ready');
    writeFileSync(file, 'log-level: debug\nmax-msgs: 11\nchannels: { a: { max-bytes: 5 } }\n');
    process.signal('SIGHUP');
    await process.prints('"logLevel":"debug","msg":"the configuration was read again"');
    await process.prints(
      '"options":["max-msgs","channels"],"msg":"these options changed; they take effect after a restart',
    );
    await process.prints('files read again');
    // Off means what the file now says.
    process.signal('SIGUSR2');
    await process.prints('"logLevel":"info","msg":"log level changed"');
    writeFileSync(file, 'log-level: warn\nmax-msgs: 10\n');
    process.signal('SIGHUP');
    await process.prints('"logLevel":"warn","msg":"the configuration was read again"');
    process.signal('SIGTERM');
    const { exitCode, stdout } = await process.ended;
    assert.equal(exitCode, 0);
    assert.doesNotMatch(stdout.slice(stdout.lastIndexOf('SIGHUP')), /these options changed/);
  });

  it('stays as it is on SIGHUP if the configuration has become wrong, and says so', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'log-level: info\n');
    const process = run(['serve', '--config', file]);
    await process.prints('Streaming Server is ready');
    writeFileSync(file, 'log-level: loud\n');
    process.signal('SIGHUP');
    await process.prints('the configuration has an error: nothing of it was applied');
    await process.prints('files read again');
    process.signal('SIGTERM');
    const { exitCode, stdout } = await process.ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /log-level: must be debug or info or warn or error/);
  });

  it('logs what has no effect', async () => {
    const process = run(['serve', '--file_buffer_size', '2MB']);
    await process.prints('--file_buffer_size has no effect');
    process.signal('SIGTERM');
    await process.ended;
  });

  it('writes its id to the --pid file while it runs', async () => {
    const file = join(folder, 'pid');
    const process = run(['serve', '--pid', file]);
    await process.prints('Streaming Server is ready');
    assert.equal(readFileSync(file, 'utf8'), `${process.pid}\n`);
    process.signal('SIGTERM');
    await process.ended;
    assert.equal(existsSync(file), false);
  });

  it('logs to the --log-file, in the --log-format', async () => {
    const file = join(folder, 'log');
    const process = run(['serve', '-l', file, '--log-format', 'pretty', '-P', join(folder, 'none', 'pid')]);
    assert.deepEqual(await process.ended, { exitCode: 1, stdout: '', stderr: '' });
    assert.match(readFileSync(file, 'utf8'), /^\[.*\] ERROR: --pid: cannot write .*pid: ENOENT/);
    const unwritable = await run(['serve', '-l', join(folder, 'none', 'log')]).ended;
    assert.equal(unwritable.exitCode, 1);
    assert.match(unwritable.stderr, /^stanchion: --log-file: cannot write .*log: ENOENT/);
  });
});

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

interface Run {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output has the text; rejects if the process ends without. */
  prints(text: string): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  programs.push(child);
  const out = gather(child, 'stdout');
  const err = gather(child, 'stderr');
  let hasEnded = false;
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (exitCode) => {
      hasEnded = true;
      resolve({ exitCode, stdout: out.text, stderr: err.text });
    });
  });
  return {
    pid: child.pid!,
    ended,
    signal: (signal) => child.kill(signal),
    prints: (text) =>
      waitFor(
        () => {
          if (out.text.includes(text)) return true;
          if (hasEnded) throw new Error(`ended without "${text}": ${out.text}${err.text}`);
          return false;
        },
        () => `it prints "${text}"; it printed:\n${out.text}${err.text}`,
      ),
  };
}

function gather(child: ChildProcess, stream: 'stdout' | 'stderr'): { text: string } {
  const gathered = { text: '' };
  child[stream]!.setEncoding('utf8').on('data', (chunk: string) => {
    gathered.text += chunk;
  });
  return gathered;
}
