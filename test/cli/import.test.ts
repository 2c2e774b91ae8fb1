import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { knownStore, putGoStore } from '../data/go-stores/known-stores.js';
import { CLUSTER_ID, KINDS, type Kind } from '../data/go-stores/scenario.js';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

/** The limits of the servers that left the stores. */
const LIMITS = `streaming {
  store_limits {
    channels {
      counted { max_msgs: 30 }
      sized { max_msgs: 0, max_bytes: 4000 }
      aged { max_age: "3s" }
    }
  }
}
`;

async function stanchionWith(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number | null; output: string }> {
  const child = new Child(process.execPath, [...(await mainScript()), ...args], env);
  const { code } = await child.exit;
  return { code, output: child.output };
}

const stanchion = (...args: string[]) => stanchionWith({}, ...args);

const kindOf = (name: string): Kind => {
  const kind = KINDS.find((each) => each.name === name);
  assert.ok(kind !== undefined);
  return kind;
};

describe('stanchion import', () => {
  const rig = new Rig({ store: 'file' });
  const root = mkdtempSync(join(tmpdir(), 'stanchion-import-test-'));
  after(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  const path = (name: string): string => join(root, `${++count}-${name}`);

  function goStore(kind: Kind): { from: string; limits: string } {
    const [from, limits] = [path(kind.name), path('stan.conf')];
    putGoStore(kind, from);
    writeFileSync(limits, LIMITS);
    return { from, limits };
  }

  it("makes a store of a Go server's files, says what came along and what the limits hide, and finds it the same", async () => {
    const kind = kindOf('killed');
    const { from, limits } = goStore(kind);
    const { channels, clients } = knownStore(kind).words;
    const dir = path('store');
    const given = ['--from', from, '--dir', dir, '-sc', limits];
    const dry = await stanchion('import', ...given, '--dry-run');
    assert.equal(dry.code, 0, dry.output);
    assert.match(dry.output, /would come along: .* Nothing was written/);
    assert.ok(!existsSync(dir), 'a dry run writes nothing');

    const { code, output } = await stanchion('import', ...given, '--json');
    assert.equal(code, 0, output);
    const summary = JSON.parse(output);
    assert.deepEqual(
      [summary.clusterId, summary.channels, summary.clients],
      [CLUSTER_ID, channels.length, clients.length],
    );
    // By now the messages of `aged` are too old.
    const isKept = ({ channel }: { channel: string }) => channel !== 'aged';
    const said = channels.map(({ name, first_seq, last_seq, msgs }) => ({
      ...{ channel: name, first: msgs === 0 ? last_seq + 1 : first_seq, last: last_seq, messages: msgs },
    }));
    assert.deepEqual(
      summary.bounds.filter(isKept),
      said.filter(isKept).sort((x, y) => (x.channel < y.channel ? -1 : 1)),
    );
    assert.ok(summary.hidden.byMaxMessages > 0, 'messages that the limits hide are counted');
    assert.deepEqual(summary.limits.channels.counted.maxMessages, 30);
    const same = await stanchion('import', ...given, '--verify');
    assert.match(same.output, /has all that .* has, and nothing else/);
    assert.equal(same.code, 0);
    const others = await stanchion('import', '--from', from, '--dir', dir, '--verify');
    assert.match(
      others.output,
      /^DIFFERS: channel counted: messages \d+ to \d+ are in the source, and not in the store$/m,
    );
    assert.equal(others.code, 1, 'with other limits than those of the import it differs');
    assert.equal((await stanchion('store', 'verify', '--dir', dir)).code, 0);
    const again = await stanchion('import', ...given);
    assert.deepEqual([again.code, /holds a store already/.test(again.output)], [1, true]);
    const inside = await stanchion('import', '--from', from, '--dir', join(from, 'store'));
    assert.deepEqual([inside.code, /lies in the folder that is imported/.test(inside.output)], [2, true]);
  });

  it('ends before anything is written if the key of an encrypted store is missing or wrong, and takes it from a file or the environment', async () => {
    const kind = kindOf('ciphers');
    const { from, limits } = goStore(kind);
    const [key, wrong] = [path('key'), path('wrong')];
    writeFileSync(key, `${kind.key}\n`);
    writeFileSync(wrong, 'another key\n');
    const dir = path('store');
    const given = ['import', '--from', from, '--dir', dir, '-sc', limits];
    for (const args of [given, [...given, '--encryption-key-file', wrong]]) {
      const { code, output } = await stanchion(...args);
      assert.deepEqual([code, existsSync(dir)], [1, false], output);
      assert.match(output, /key/);
    }
    assert.equal((await stanchion(...given, '--encryption-key-file', key, '--dry-run')).code, 0);
    const { code, output } = await stanchionWith({ NATS_STREAMING_ENCRYPTION_KEY: kind.key ?? '' }, ...given);
    assert.equal(code, 0, output);
    assert.doesNotMatch(output, new RegExp(kind.key ?? ''));
  });

  it('says why a database cannot be reached, and not the password', async () => {
    // As it is bundled: each driver is a chunk of its own.
    for (const scheme of ['postgres', 'mysql']) {
      const from = `${scheme}://me:pa55@127.0.0.1:1/stan`;
      const { code, output } = await stanchion('import', '--from', from, '--dir', path('store'));
      assert.equal(code, 1, output);
      assert.match(output, /ECONNREFUSED/);
      assert.doesNotMatch(output, /pa55/);
    }
  });

  it('says in a dry run what would be left out, and which sequences have no message, as the import says it', async () => {
    const file = path('backup.jsonl');
    const lines = [
      {
        stanchion: 'export',
        format: 1,
        clusterId: 'c',
        clients: 0,
        channels: 1,
        subscriptions: 1,
        messages: 2,
      },
      { channel: { name: 'a', firstSequence: 3, lastSequence: 9, messages: 2 } },
      {
        subscription: {
          ...{ channel: 'a', clientId: 'gone', inbox: 'x', ackInbox: 'y', queueGroup: '', durableName: '' },
          ...{
            isDurable: false,
            isOnline: true,
            maxInFlight: 1,
            ackWaitSeconds: 1,
            lastSent: 3,
            pending: [3],
          },
        },
      },
      { subject: 'a', sequence: 3, timestamp: '1', data: 'three' },
      { subject: 'a', sequence: 7, timestamp: '2', data: 'seven' },
      { end: { clients: 0, channels: 1, subscriptions: 1, messages: 2 } },
    ];
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const given = ['import', '--from', file, '--dir', path('store'), '--json'];
    const [dry, wet] = [
      JSON.parse((await stanchion(...given, '--dry-run')).output),
      JSON.parse((await stanchion(...given)).output),
    ];
    for (const each of [dry, wet]) {
      assert.deepEqual([each.missing, each.gapCount, each.leftOut.length], [5, 2, 1]);
      assert.deepEqual([each.messages, each.subscriptions, each.connected, each.pending], [2, 0, 0, 0]);
    }
    assert.deepEqual(dry.gaps, wet.gaps);
    assert.deepEqual(dry.leftOut, wet.leftOut);
  });

  it('names damage by file and byte; with --lenient it keeps what can be read, and says what is lost', async () => {
    const { from, limits } = goStore(kindOf('killed'));
    const channel = readdirSync(from).find((name) => existsSync(join(from, name, 'msgs.1.dat'))) ?? '';
    const file = join(from, channel, 'msgs.1.dat');
    truncateSync(file, readFileSync(file).length - 3);
    const dir = path('store');
    const given = ['import', '--from', from, '--dir', dir, '-sc', limits];
    const strict = await stanchion(...given);
    assert.equal(strict.code, 1);
    assert.match(strict.output, /msgs\.1\.dat at byte \d+: .*--lenient/);
    const lenient = await stanchion(...given, '--lenient');
    assert.equal(lenient.code, 0, lenient.output);
    assert.match(lenient.output, /^LOST: \S+msgs\.1\.dat, byte \d+: /m);
  });

  it('gives back what an export has written: the export of the new store is the same', async () => {
    const { broker } = rig;
    const client = await rig.connect('billing');
    const text = String.fromCharCode(...Array.from({ length: 300 }, (_, i) => i));
    for (const data of ['', 'one', text, '\ud83d\udca5']) await client.publish('orders', data);
    await client.publishMany('more', 500);
    const subscription = await client.subscribe('orders', {
      durableName: 'ledger',
      all: true,
      manualAcks: true,
    });
    await subscription.got(4);
    await client.subscribe('more', {
      queueGroup: 'workers',
      durableName: 'shared',
      all: true,
      maxInFlight: 3,
      manualAcks: true,
    });
    const [file, dir, back] = [path('a.jsonl.gz'), path('store'), path('b.jsonl')];
    const first = await stanchion('export', '--dir', broker.settings.dir ?? '', '--to', file);
    assert.equal(first.code, 0, first.output);
    const { code, output } = await stanchion('import', '--from', file, '--dir', dir);
    assert.equal(code, 0, output);
    assert.match(
      output,
      /504 messages .*, 2 channels, 1 client with 2 subscriptions, 2 durables, 7 pending messages/,
    );
    assert.match(
      output,
      new RegExp(`To go on: stanchion serve --store file --dir ${dir} --cluster-id ${broker.clusterId}`),
    );
    await stanchion('export', '--dir', broker.settings.dir ?? '', '--to', join(root, 'a.jsonl'));
    await stanchion('export', '--dir', dir, '--to', back);
    const withoutHeader = (name: string) => readFileSync(name, 'utf8').split('\n').slice(1);
    assert.deepEqual(withoutHeader(back), withoutHeader(join(root, 'a.jsonl')));
    assert.ok(withoutHeader(back).length > 500);
  });

  it('reads standard input; interrupted there, it leaves no store, says how to go on, and begins anew', async () => {
    const dir = path('store');
    const run = async (): Promise<ChildProcess> =>
      spawn(process.execPath, [...(await mainScript()), 'import', '--from', '-', '--dir', dir], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
    const channel = { name: 'orders', firstSequence: 1, lastSequence: 2, messages: 2 };
    const counts = { clients: 0, channels: 1, subscriptions: 0, messages: 2 };
    const message = (sequence: number) => ({
      subject: 'orders',
      sequence,
      timestamp: '2026-11-29T00:00:00Z',
      data: 'x',
    });
    const lines = [
      { stanchion: 'export', format: 1, clusterId: 'c', ...counts },
      { channel },
      message(1),
      message(2),
      { end: counts },
    ];
    const texts = lines.map((line) => `${JSON.stringify(line)}\n`);
    const left = await run();
    let said = '';
    left.stderr?.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    left.stdin?.write(texts.slice(0, 3).join(''));
    await waitFor(() => existsSync(join(dir, 'segments')), 'it has begun to write');
    left.kill('SIGINT');
    assert.equal((await once(left, 'exit'))[0], 130);
    assert.match(said, /^interrupted: \S+ is no store\. Give the same command again, and it begins anew$/m);
    assert.ok(!existsSync(join(dir, 'stanchion.json')));

    const whole = await run();
    whole.stdin?.end(texts.join(''));
    assert.equal((await once(whole, 'exit'))[0], 0);
    assert.match((await stanchion('store', 'info', '--dir', dir)).output, /^orders +1 +2 +2 /m);
  });

  it('says what a source is not, and which flag is for another one', async () => {
    const file = path('lines');
    const other = path('folder');
    writeFileSync(file, 'nothing of the kind\n');
    mkdirSync(other);
    const cases: readonly [args: readonly string[], code: number, error: RegExp][] = [
      [['--from', '/nowhere/at/all'], 1, /there is no such file or folder/],
      [['--from', other], 1, /is not the store of a Go NATS Streaming server/],
      [['--from', rig.broker.settings.dir ?? ''], 2, /is a store of stanchion already/],
      [['--from', file], 1, /line 1: .*JSON/],
      [['--from', 'http://x'], 2, /nothing is known of http:\/\//],
      [['--from', file, '--follow'], 2, /--follow is for a running server/],
      [['--from', file, '--max_msgs', '5'], 2, /--max-msgs is for the store of a Go server/],
      [['--from', 'nats://127.0.0.1:1'], 2, /give --cluster-id/],
      [['--from', 'nats://127.0.0.1:1', '-c', 'x', '--channels', 'a'], 1, /NATS cannot be reached/],
      [['--from', file, '--verify', '--dry-run'], 2, /contradict each other/],
      [['--from', '/dev/null', '--max-msgs', 'x'], 2, /--max-msgs/],
      [[], 2, /--from is missing/],
    ];
    const check = async ([args, code, error]: (typeof cases)[number]): Promise<void> => {
      const found = await stanchion('import', '--dir', join(root, 'never'), ...args);
      assert.equal(found.code, code, `${args.join(' ')}: ${found.output}`);
      assert.match(found.output, error);
    };
    await Promise.all(cases.map(check));
    assert.ok(!existsSync(join(root, 'never')));
    const nowhere = await stanchion('import', '--from', file);
    assert.match(nowhere.output, /--dir FOLDER is missing/);
  });
});
