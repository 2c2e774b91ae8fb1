import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

/** Each secret has this in it, in whatever way it is written. */
const CANARY = 'kanarienvogel';
/** What shells, URLs, YAML, JSON and nats-server's configuration read as something else, but no comma, which ends a URL of a list. */
const PASS = `${CANARY}#/?@"\\ %`;
const IN_URL = `${CANARY}#/?@"\\ %25`;
const TOKEN = `${CANARY}-of-http`;

describe('a secret', { concurrency: 1 }, () => {
  const children: Child[] = [];
  let main: string[];
  let folder: string;
  let broker: Child;
  let natsPort: string;
  let httpUrl: string;

  before(async () => {
    main = await mainScript();
    folder = mkdtempSync(join(tmpdir(), 'stanchion-secrets-'));
    writeFileSync(join(folder, 'stanchion.yaml'), `http_token: ${JSON.stringify(TOKEN)}\n`);
    // Each way to give one: a flag, an environment variable, the config file, and URLs.
    broker = run(
      {
        STANCHION_PASS: PASS,
        STANCHION_ROUTES: `nats://route:${IN_URL}@127.0.0.1:${await freePort()}`,
        TMPDIR: folder,
      },
      ...['serve', '--user', 'bob', '--http-user', 'eve', '--http-pass', PASS, '--log-level', 'debug'],
      ...['--cluster', `nats://route:${IN_URL}@127.0.0.1:${await freePort()}`, '--log-format', 'json'],
      ...['--config', join(folder, 'stanchion.yaml'), '--addr', '127.0.0.1', '--port', '0'],
      ...['--http-port', '-1', '--store', 'file', '--dir', join(folder, 'store')],
    );
    await waitFor(
      () => /Streaming Server is ready/.test(broker.output) || broker.hasExited,
      () => broker.output,
    );
    natsPort = /"url":"nats:\/\/127\.0\.0\.1:(\d+)"/.exec(broker.output)![1]!;
    httpUrl = /"url":"(http:[^"]+)"/.exec(broker.output)![1]!;
  });
  after(async () => {
    for (const child of children) await child.destroy();
    rmSync(folder, { recursive: true });
  });

  function run(env: Record<string, string>, ...args: string[]): Child {
    const child = new Child(process.execPath, [...main, ...args], env);
    children.push(child);
    return child;
  }

  it('is in no argument that other users can read, of the broker or its nats-server', {
    skip: notLinux(),
  }, () => {
    const natsPid = Number(/"pid":(\d+),"url":"nats:/.exec(broker.output)![1]);
    for (const pid of [broker.pid, natsPid]) {
      const shown = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      assert.doesNotMatch(shown, new RegExp(CANARY));
      assert.match(
        shown,
        pid === natsPid ? /nats-server/ : /--http-pass \*\*\* --log-level debug .* --dir \S+store\0*$/,
      );
    }
    assert.equal(readFileSync(`/proc/${broker.pid}/comm`, 'utf8'), readFileSync('/proc/self/comm', 'utf8'));
  });

  it('is in no file but the one that it was given in', () => {
    const files = filesIn(folder);
    const found = files.filter(([, content]) => content.includes(CANARY));
    assert.deepEqual(
      found.map(([path]) => path),
      [join(folder, 'stanchion.yaml')],
    );
    assert.ok(files.some(([path]) => path.endsWith('nats.conf')));
  });

  it('is on no page, to whatever asks, and in no log of the broker', async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const list = await (await fetch(`${httpUrl}/nothing`, { headers })).text();
    const paths = [...list.matchAll(/^ {2}(\/\S*)/gm)].map(([, path]) => path!);
    assert.ok(paths.length > 15, list);
    for (const path of [...paths, '/varz?auth=1', '/connz?auth=1&state=all&subs=detail']) {
      const leaving = AbortSignal.timeout(500);
      const answer = await fetch(httpUrl + path, { headers, signal: leaving });
      // The stream of the dashboard has no end.
      const text = await answer.text().catch(() => '');
      assert.doesNotMatch(text, new RegExp(CANARY), path);
    }
    for (const authorization of [`Bearer ${CANARY}`, `Basic ${btoa(`eve:${CANARY}`)}`])
      assert.equal((await fetch(`${httpUrl}/metrics`, { headers: { authorization } })).status, 401);
    assert.doesNotMatch(broker.output, new RegExp(CANARY));
  });

  it('is in nothing that a command prints, whether it is right or wrong', async () => {
    const url = `nats://bob:${IN_URL}@127.0.0.1:${natsPort}`;
    const wrong = `nats://bob:${CANARY}#no@127.0.0.1:${natsPort}`;
    const ended = await Promise.all(
      [
        run({}, 'pub', 'orders', 'one', '--nats-server', url),
        run({ STANCHION_NATS_SERVER: wrong }, 'pub', 'orders', 'one'),
        run({ STANCHION_PASS: PASS }, 'status', '-s', `127.0.0.1:${natsPort}`, '-u', 'bob'),
        run({}, 'bench', '-n', '1', '--nats-server', `${url}9`),
      ].map(async (child) => ({ ...(await child.exit), output: child.output })),
    );
    for (const { output } of ended) assert.doesNotMatch(output, new RegExp(CANARY));
    assert.deepEqual(
      ended.map(({ code }) => code),
      [0, 1, 1, 2],
      ended.map(({ output }) => output).join('\n'),
    );
  });
});

function notLinux(): string | false {
  return process.platform === 'linux' ? false : 'there is no /proc';
}

/** The files below a folder, with their content. The lease's file may be renamed meanwhile. */
function filesIn(folder: string): [path: string, content: Buffer][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap(({ parentPath, name }): [string, Buffer][] => {
      const path = join(parentPath, name);
      try {
        return [[path, readFileSync(path)]];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
}
