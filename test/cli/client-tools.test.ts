import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, describe, it } from 'node:test';
import { connect } from 'nats';
import type { BenchReport } from '../../src/bench/run-bench.js';
import { seal } from '../../src/group/proof/seal.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { encodeKeyFile, keyFileName } from '../../src/store/file/group-key.js';
import { mainScript } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

describe('the tools', () => {
  const rig = new Rig({ store: 'memory' });
  let main: string[];
  before(async () => {
    main = await mainScript();
  });

  function start(args: readonly string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams {
    return spawn(process.execPath, [...main, ...args], {
      env: {
        ...process.env,
        STANCHION_NATS_SERVER: rig.nats.url,
        STANCHION_CLUSTER_ID: rig.broker.clusterId,
        ...env,
      },
    });
  }

  async function run(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Result> {
    const child = start(args, env);
    child.stdin.end(input);
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('close', resolve)),
    ]);
    return { code, stdout, stderr };
  }

  async function contentOf(channel: string, ...flags: string[]): Promise<string[]> {
    const { stdout } = await run([
      'sub',
      channel,
      '--start',
      'all',
      '-o',
      'json',
      '--timeout',
      '1s',
      ...flags,
    ]);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).data);
  }

  describe('stanchion pub', () => {
    it('publishes its argument', async () => {
      const channel = rig.name('channel');
      const { code, stdout, stderr } = await run(['pub', channel, 'one espresso']);
      assert.deepEqual([code, stdout, stderr], [0, '', `published 1 message to ${channel}\n`]);
      assert.deepEqual(await contentOf(channel), ['one espresso']);
    });

    it('publishes standard input line by line, the last one without an end too', async () => {
      const channel = rig.name('channel');
      const { code, stderr } = await run(['pub', channel], 'a\n\nb\r\nc');
      assert.deepEqual([code, stderr], [0, `published 4 messages to ${channel}\n`]);
      assert.deepEqual(await contentOf(channel), ['a', '', 'b', 'c']);
    });

    it('publishes a file as one message, byte by byte, as many times as --count says', async () => {
      const channel = rig.name('channel');
      const file = join(rig.folder(), 'bytes');
      writeFileSync(file, Buffer.from([0, 10, 13, 255]));
      assert.equal((await run(['pub', channel, '--file', file, '--count', '2', '-q'])).stderr, '');
      const { stdout } = await run(['sub', channel, '--start', 'all', '--count', '2', '-o', 'json']);
      const [first] = stdout.split('\n');
      assert.equal(JSON.parse(first!).dataBase64, 'AAoN/w==');
    });

    it('prints the guid of each message for programs', async () => {
      const channel = rig.name('channel');
      const { stdout } = await run(['pub', channel, '--json'], 'a\nbb\n');
      const lines = stdout.trim().split('\n');
      assert.deepEqual(
        lines.map((line) => JSON.parse(line)).map(({ subject, bytes }) => [subject, bytes]),
        [
          [channel, 1],
          [channel, 2],
        ],
      );
    });

    it('says what is wrong, in one line and by its exit code', async () => {
      const cases: [string[], number, RegExp][] = [
        [['pub', 'a b', 'x'], 2, /"a b" cannot be a channel/],
        [['pub', 'foo', 'x', '--client-id', 'a.b'], 2, /--client-id must have letters.*"a\.b"/],
        [['pub', 'foo', 'x', '--cluster-id', 'a b'], 2, /--cluster-id: "a b" is not a NATS subject/],
        [['pub', 'foo', 'x', '--count'], 2, /--count needs a value/],
        [['pub', 'foo', 'x', '-retrys', '3'], 2, /unknown flag -retrys: did you mean -retry\?/],
        [['pub', 'foo', 'x', '--', 'y'], 2, /unexpected argument "y"/],
        [
          ['pub', 'foo', 'x', '--cluster-id', 'no-such-cluster', '--connect-timeout', '2s'],
          1,
          /no broker of cluster id "no-such-cluster"/,
        ],
        [['pub', 'foo', 'x', '--file', 'y'], 2, /the message or --file/],
        [['pub', 'foo', '--file', '/no/such/file'], 2, /cannot read \/no\/such\/file/],
        [['pub', 'foo', 'x', '--count', '0'], 2, /--count must be a whole number from 1/],
        [['pub', 'foo', 'x', '--nonsense'], 2, /unknown flag --nonsense$/m],
        [
          ['pub', 'foo', 'x', '--ack-timeot', '3s'],
          2,
          /unknown flag --ack-timeot: did you mean --ack-timeout\?/,
        ],
        [['pub', 'foo', 'x', '-z'], 2, /unknown flag -z$/m],
        [['pub', 'foo', 'x', 'y'], 2, /unexpected argument "y"/],
        [['nonsense'], 2, /there is no command "nonsense"/],
        [['pub', 'foo', 'x', '--retry', 'maybe'], 2, /--retry must be one of auto, always, never/],
        [['pub', 'foo', 'x', '--user', 'u', '--auth', 't'], 2, /--auth and --user exclude each other/],
        [['pub'], 2, /pub needs the name of a channel/],
      ];
      await eachOf(cases, async ([args, code, message]) => {
        const result = await run(args);
        assert.match(result.stderr, message, args.join(' '));
        assert.equal(result.code, code, args.join(' '));
        assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
      });
    });

    it('takes its flags in the spellings of the Go tools too', async () => {
      const channel = rig.name('channel');
      const { clusterId } = rig.broker;
      const env = { STANCHION_NATS_SERVER: '', STANCHION_CLUSTER_ID: '' };
      for (const [server, cluster, id] of [
        ['-s', '-c', '-id'],
        ['-server', '-cluster', '-clientid'],
        ['-nats_server', '-cid', '--client_id'],
        ['--nats-server', '--cluster_id', '-client-id'],
      ] as const) {
        const flags = [server, rig.nats.url, cluster, clusterId, `${id}=spelled`];
        assert.equal((await run(['pub', ...flags, channel, 'x'], '', env)).code, 0, server);
      }
      const { stdout } = await run(['sub', channel, '-seq', '3', '-count', '1', '-o=json']);
      assert.equal(JSON.parse(stdout).sequence, 3);
    });

    it('publishes what looks like a flag, or like a number, as it is', async () => {
      const channel = rig.name('channel');
      for (const args of [['--', '-count'], ['--', '--5'], ['--', '007'], ['-5'], ['0x10']])
        assert.equal((await run(['pub', channel, ...args])).code, 0);
      assert.deepEqual(await contentOf(channel), ['-count', '--5', '007', '-5', '0x10']);
    });

    it('publishes the lines before one that it cannot, and says how many that are', async () => {
      const channel = rig.name('channel');
      for (const tooLong of [2 ** 20, 2 ** 20 + 1]) {
        const { code, stderr } = await run(['pub', channel], `x\n${'y'.repeat(tooLong)}\nz\n`);
        assert.deepEqual([code, /\(acknowledged before: 1\)/.test(stderr)], [1, true], stderr);
      }
      assert.deepEqual(await contentOf(channel), ['x', 'x']);
    });

    it('waits for the acks of what it has read when it is interrupted', async () => {
      const channel = rig.name('channel');
      const child = start(['pub', channel, '--json', '--client-id', 'interrupted']);
      const [out, errors] = [text(child.stdout), text(child.stderr)];
      child.stdin.write('1\n2\n');
      await new Promise((resolve) => child.stdout.once('data', resolve));
      child.kill('SIGINT');
      assert.equal(await new Promise((resolve) => child.on('close', resolve)), 130, await errors);
      assert.equal((await out).trim().split('\n').length, 2);
      // It has left the broker: its id is free, or somebody would have to wait for its heartbeats.
      assert.equal((await run(['pub', channel, '3', '--client-id', 'interrupted'])).code, 0);
      assert.deepEqual(await contentOf(channel), ['1', '2', '3']);
    });

    it('publishes everything though its output is no longer read', async () => {
      const channel = rig.name('channel');
      const child = start(['pub', channel, 'x', '--count', '50000', '--json']);
      await new Promise((resolve) => child.stdout.once('data', resolve));
      child.stdout.destroy();
      assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
      const last = await run(['sub', channel, '--start', 'last', '--count', '1', '-o', 'json']);
      assert.equal(JSON.parse(last.stdout).sequence, 50_000);
    });

    it('takes its flags from the environment and from a file too', async () => {
      const channel = rig.name('channel');
      const config = join(rig.folder(), 'flags.yaml');
      writeFileSync(config, `cluster_id: ${rig.broker.clusterId}\nclient-id: from-file\n`);
      const env = { STANCHION_CLUSTER_ID: '', STANCHION_CONFIG: config };
      assert.equal((await run(['pub', channel, 'x'], '', env)).code, 0);
      writeFileSync(config, 'clustr-id: x\n');
      assert.match(
        (await run(['pub', channel, 'x'], '', env)).stderr,
        /has "clustr-id", which is no flag .* mean cluster-id\?/,
      );
    });

    it('takes the file of a broker, in each of its forms, and of it what is for them', async () => {
      const channel = rig.name('channel');
      const config = join(rig.folder(), 'broker.yaml');
      const { clusterId } = rig.broker;
      const { url } = rig.nats;
      const env = { STANCHION_CLUSTER_ID: '', STANCHION_NATS_SERVER: '', STANCHION_CONFIG: config };
      for (const file of [
        `id: ${clusterId}\nnats-server: [${url}]\nmax_msgs: 5\nchannels: { a.>: { max-age: 1h } }\n`,
        `streaming:\n  cluster_id: ${clusterId}\n  nats_server_url: ${url}\n  store_limits: { max_msgs: 5 }\n`,
      ]) {
        writeFileSync(config, file);
        assert.equal(
          (await run(['pub', channel, 'x'], '', env)).stderr,
          `published 1 message to ${channel}\n`,
        );
      }
      writeFileSync(config, `nats-server: ${url}\ntls: { client_ca: /no/such/ca.pem }\nmax_msgs: many\n`);
      assert.match(
        (await run(['pub', channel, 'x'], '', env)).stderr,
        /config file \S+broker.yaml: max_msgs: must be a whole number/,
      );
      writeFileSync(config, `nats-server: ${url}\ntls: { client_ca: /no/such/ca.pem }\n`);
      assert.match(
        (await run(['pub', channel, 'x'], '', env)).stderr,
        /cannot read the certificate authorities in \/no\/such\/ca.pem/,
      );
    });

    it('refuses what would change nothing', async () => {
      const cases: [string[], RegExp][] = [
        [['pub', 'foo', 'x', '--json', '--quiet'], /--quiet prints nothing, --json a line for each message/],
        [['sub', 'foo', '--ack-timeout', '5s'], /unknown flag --ack-timeout/],
        [['bench', '--sync', '--max-pub-acks', '5'], /--sync waits for each ack: leave out --max-pub-acks/],
        [['bench', '--queue', 'q'], /--queue is for subscribers: add --subscribers/],
        [['bench', '-ns', '1', '--ignore-old'], /--ignore-old is for subscribers without publishers/],
        [['bench', '-np', '0', '-ns', '1', '--sync'], /--sync is for publishers: add --publishers/],
        [['bench', '-np', '0', '-ns', '1', '-ms', '5'], /--size is for publishers: add --publishers/],
        [['bench', '-np', '0', '-ns', '1', '--ack-timeout', '1s'], /--ack-timeout is for publishers/],
      ];
      await eachOf(cases, async ([args, message]) => {
        const { code, stderr } = await run(args);
        assert.match(stderr, message, args.join(' '));
        assert.equal(code, 2, args.join(' '));
      });
    });
  });

  describe('stanchion sub', () => {
    it('prints text, or raw bytes', async () => {
      const channel = rig.name('channel');
      await run(['pub', channel], 'a\nb\n');
      const asText = await run(['sub', channel, '--start', 'all', '--count', '2']);
      assert.match(asText.stdout, /^\[#1 \d{4}-\d\d-\d\dT[\d:.]+Z\] a\n\[#2 .*\] b\n$/);
      const raw = await run(['sub', channel, '--start', 'all', '--count', '2', '-o', 'raw']);
      assert.equal(raw.stdout, 'ab');
    });

    it('begins where its flags say', async () => {
      const channel = rig.name('channel');
      await run(['pub', channel], '1\n2\n3\n');
      assert.deepEqual(await contentOf(channel, '--count', '3'), ['1', '2', '3']);
      const starts: [string[], string[]][] = [
        [['--start', 'last'], ['3']],
        [
          ['--start-sequence', '2'],
          ['2', '3'],
        ],
        [
          ['--since', '1h'],
          ['1', '2', '3'],
        ],
        [
          ['--start-time', '2020-01-01T00:00:00Z'],
          ['1', '2', '3'],
        ],
      ];
      await eachOf(starts, async ([flags, expected]) => {
        const { stdout } = await run(['sub', channel, ...flags, '-o', 'raw', '--timeout', '1s']);
        assert.equal(stdout, expected.join(''), flags.join(' '));
      });
      const both = await run(['sub', channel, '--since', '1h', '--start', 'all']);
      assert.deepEqual([both.code, /exclude each other/.test(both.stderr)], [2, true]);
    });

    it('fails if less comes than it was to wait for', async () => {
      const { code, stderr } = await run(['sub', rig.name('channel'), '--count', '1', '--timeout', '200ms']);
      assert.deepEqual([code, stderr], [1, '0 of 1 messages arrived\n']);
    });

    it('has acked what it printed, and goes on behind it as a durable', async () => {
      const channel = rig.name('channel');
      await run(['pub', channel], '1\n2\n3\n');
      const flags = [
        'sub',
        channel,
        '--client-id',
        'billing',
        '--durable',
        'd',
        '--start',
        'all',
        '-o',
        'raw',
      ];
      assert.equal((await run([...flags, '--count', '1'])).stdout, '1');
      assert.equal((await run([...flags, '--count', '2'])).stdout, '23');
      await run([...flags, '--timeout', '200ms', '--unsubscribe']);
      assert.equal((await run([...flags, '--count', '3'])).stdout, '123');
      const { code, stderr } = await run(['sub', channel, '--durable', 'd']);
      assert.deepEqual([code, /--durable needs --client-id/.test(stderr)], [2, true]);
    });

    it('acks by hand: line by line, or by number', async () => {
      const channel = rig.name('channel');
      await run(['pub', channel], '1\n2\n3\n');
      const flags = ['sub', channel, '--queue', 'q', '--durable', 'd', '--start', 'all', '-o', 'raw'];
      const child = start([...flags, '--manual-ack', '--count', '3']);
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      await waitFor(() => out === '123', 'all are printed');
      // The third and the oldest. The second one is left.
      child.stdin.end('3\n\n');
      assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
      assert.equal((await run([...flags, '--timeout', '1s'])).stdout, '2');
    });

    it('ends with Ctrl-C, and when its output is no longer read', async () => {
      const channel = rig.name('channel');
      await run(['pub', channel], '1\n2\n');
      for (const end of ['SIGINT', 'pipe'] as const) {
        const child = start(['sub', channel, '--start', 'all']);
        await new Promise((resolve) => child.stdout.once('data', resolve));
        const closed = new Promise((resolve) => child.on('close', resolve));
        if (end === 'SIGINT') child.kill('SIGINT');
        else {
          child.stdout.destroy();
          await run(['pub', channel], '3\n4\n');
        }
        assert.equal(await closed, 0, end);
      }
    });
  });

  describe('stanchion bench', () => {
    it('measures both sides, and prints JSON for programs', async () => {
      const channel = rig.name('channel');
      const { code, stdout } = await run([
        'bench',
        channel,
        '-np',
        '2',
        '-ns',
        '2',
        '-n',
        '1001',
        '-ms',
        '64',
        '--json',
      ]);
      assert.equal(code, 0);
      const report = JSON.parse(stdout) as BenchReport;
      assert.equal(report.messages, 1001);
      assert.equal(report.all.messages, 3003);
      assert.deepEqual(
        report.publishers!.clients.map(({ messages }) => messages),
        [501, 500],
      );
      assert.deepEqual(
        report.subscribers!.clients.map(({ messages }) => messages),
        [1001, 1001],
      );
      for (const side of [report.publishers!, report.subscribers!]) {
        const { p50, p99, p999, max } = side.latencyMicros!;
        assert.ok(p50 > 0 && p50 <= p99 && p99 <= p999 && p999 <= max);
        assert.ok(side.messagesPerSecond > 0);
        assert.equal(Math.round((side.bytesPerSecond * side.seconds) / side.messages), 64);
      }
    });

    it('prints a table, and writes a line for each client to a file', async () => {
      const csv = join(rig.folder(), 'bench.csv');
      const { stdout } = await run([
        'bench',
        rig.name('channel'),
        '-np',
        '2',
        '-n',
        '100',
        '-sync',
        '-csv',
        csv,
      ]);
      assert.match(stdout, /^ +messages +msg\/s +bytes\/s +p50 ms +p99 +p99.9 +max\npublishers +100 /);
      const lines = readFileSync(csv, 'utf8').trim().split('\n');
      assert.equal(lines.length, 3);
      assert.match(lines[1]!, /^publishers,[\w-]+-pub-1,50,[\d.]+,\d+,\d+,\d+,\d+,\d+,\d+$/);
    });

    it('lets the members of a queue group share the messages, and reads what is stored', async () => {
      const channel = rig.name('channel');
      const shared = await run([
        'bench',
        channel,
        '-ns',
        '3',
        '-n',
        '300',
        '-qgroup',
        'q',
        '-mpa',
        '10',
        '-ms',
        '200',
        '--json',
      ]);
      assert.equal((JSON.parse(shared.stdout) as BenchReport).subscribers!.messages, 300);
      const stored = await run(['bench', channel, '--publishers', '0', '-ns', '1', '-n', '300', '--json']);
      const report = JSON.parse(stored.stdout) as BenchReport;
      const { messages, bytesPerSecond, seconds } = report.subscribers!;
      assert.equal(messages, 300);
      assert.equal(Math.round((bytesPerSecond * seconds) / messages), 200, 'by what is stored');
      assert.equal(report.subscribers!.latencyMicros, null);
      assert.equal(report.publishers, null);
    });

    it('gives up when nothing comes any more, and says how far it was', async () => {
      const { code, stderr } = await run([
        'bench',
        rig.name('channel'),
        '-np',
        '0',
        '-ns',
        '1',
        '-n',
        '1',
        '--timeout',
        '1s',
      ]);
      assert.deepEqual(
        [code, stderr],
        [1, 'stanchion: nothing has arrived for 1 s: 0 of 1 acks and messages are here\n'],
      );
    });

    it('says what cannot be', async () => {
      assert.match((await run(['bench', '-np', '0'])).stderr, /nothing to measure/);
      assert.match((await run(['bench', '-ms', 'x'])).stderr, /--size must be bytes/);
    });
  });

  describe('stanchion status', () => {
    it('names the group of which no member has answered, and what to look after', async () => {
      const answer = async (...flags: string[]): Promise<[number | null, string]> => {
        const { code, stdout } = await run(['status', ...flags]);
        return [code, stdout];
      };
      const ask = 'are the brokers running, with --ft-group, and is that their cluster id?\n';
      assert.deepEqual(await answer('--cluster-id', 'orders'), [
        1,
        `No member of a group of cluster id "orders" has answered: ${ask}`,
      ]);
      assert.deepEqual(await answer('--cluster-id', 'orders', '--ft-group', 'main'), [
        1,
        `No member of group "main" of cluster id "orders" has answered: ${ask}`,
      ]);
      assert.deepEqual(await answer('--cluster-id', 'orders', '--json'), [1, '[]\n']);
    });

    it('says which members dispute the lease, since when, and what to do', async () => {
      const nc = await connect({ servers: rig.nats.url });
      const rivals = ['c', 'd'].map((node, i) => ({ member: `${node}@h@${i}@x`, node, host: 'h', pid: i }));
      const dispute = { rivals, rounds: 3, epoch: 8, sinceWallMs: 1_700_000_060_000, waitMs: 12_000 };
      const member = (node: string, role: MemberStatus['role']): Partial<MemberStatus> => ({
        ...{ node, role, group: 'main', epoch: 9, leaseAgeMs: null, leaseMs: 600, natsServer: 'nats-1:4222' },
        ...{
          version: '1',
          clusterId: 'orders',
          member: `${node}@host@1@x`,
          host: 'host',
          pid: 1,
          roleForMs: 5,
        },
        store: { kind: 'file', dir: '/store', storeId: 's' },
        ...{ clients: 1, channels: 2, messages: 3, takeovers: 1, lastTakeover: null, trouble: null },
      });
      const answers = [
        { ...member('a', 'active'), dispute: { ...dispute, sinceWallMs: 1_700_000_000_000 } },
        { ...member('b', 'standby'), dispute: { ...dispute, rivals: [rivals[1]], rounds: 2, epoch: 7 } },
        // These know of none, or are of a version that tells of none.
        { ...member('x', 'active'), group: 'other', dispute: null, warnings: ['message 8 cannot be read'] },
        { ...member('y', 'standby'), group: 'other' },
      ];
      nc.subscribe(groupSubjects('orders', '').statusOfAll, {
        callback: (_error, { reply }) => {
          for (const each of answers) nc.publish(reply!, JSON.stringify(each));
        },
      });
      await nc.flush();
      try {
        const { code, stdout } = await run(['status', '--cluster-id', 'orders']);
        const [members, said, ...others] = stdout.split('\n\n');
        assert.equal(members!.split('\n').length, 5);
        // It serves all the same: the exit code is 0.
        assert.match(members!, /^x .* message 8 cannot be read$/m);
        assert.deepEqual(said!.split('\n'), [
          'The lease of group "main" has been in dispute since 2023-11-14T22:13:20.000Z: two sides share the store and do not hear each other over NATS.',
          '  here:       a at nats-1:4222, b at nats-1:4222',
          '  not heard:  c (host h, process 0), d (host h, process 1): took the lease back 3 times, last in epoch 8',
          '  effect:     nothing acknowledged is lost. Clients of one side at a time are served: a turn takes some 12 s now, and longer each time, up to minutes',
          "  what to do: Attach all members to one NATS cluster: compare --nats-server, --ft-group, the account and the servers' routes.",
          '              The log of those not heard has the NATS server it is at, in "Streaming Server is ready"',
          '',
        ]);
        assert.deepEqual([others, code], [[], 0]);
      } finally {
        await nc.close();
      }
    });

    it('says which answers are malformed, which prove nothing, and that none is proved without the key', async () => {
      const nc = await connect({ servers: rig.nats.url });
      const storeId = 'AAAAAAAAAAAAAAAAAAAAAA';
      const groupKey = Buffer.alloc(32, 1);
      const file = join(rig.folder(), keyFileName(storeId));
      writeFileSync(file, encodeKeyFile(storeId, { groupKey, identityCrc: 1 }));
      const status = (node: string): object => ({
        ...{
          version: '1',
          clusterId: 'billing',
          group: 'main',
          node,
          member: `${node}@h@1@x`,
          host: 'h',
          pid: 1,
        },
        ...{ role: 'active', epoch: 9, roleForMs: 5, leaseMs: 600, leaseAgeMs: 5, natsServer: 'nats-1:4222' },
        store: { kind: 'file', dir: '/store', storeId },
        ...{
          clients: 1,
          channels: 2,
          messages: 3,
          takeovers: 1,
          lastTakeover: null,
          trouble: null,
          needsProof: true,
        },
      });
      const { statusOfAll } = groupSubjects('billing', '');
      nc.subscribe(statusOfAll, {
        callback: (_error, { reply, data }) => {
          nc.publish(reply!, seal(groupKey, [statusOfAll, data], JSON.stringify(status('a'))));
          for (const forged of [
            JSON.stringify(status('evil')),
            '{}',
            'null',
            '{"group":"main","role":"active"}',
            '\u001b[2J',
          ])
            nc.publish(reply!, forged);
        },
      });
      await nc.flush();
      try {
        const plain = await run(['status', '--cluster-id', 'billing']);
        assert.match(plain.stdout, /^a /m);
        assert.match(plain.stdout, /^evil /m);
        assert.match(plain.stdout, /^4 answers are malformed, and left out/m);
        assert.match(
          plain.stdout,
          /^Nothing proves these answers: .* \(--dir\), or its key file \(--group-key\)$/m,
        );
        const proved = await run(['status', '--cluster-id', 'billing', '--group-key', file]);
        assert.match(proved.stdout, /^a /m);
        assert.doesNotMatch(proved.stdout, /^evil /m);
        assert.match(
          proved.stdout,
          /^1 answer is not proved by the key of the store, and left out:\n {2}node evil, active in epoch 9/m,
        );
        assert.doesNotMatch(proved.stdout, /Nothing proves/);
        assert.deepEqual([plain.code, proved.code], [1, 0]);
        const json = await run(['status', '--cluster-id', 'billing', '--group-key', file, '--json']);
        assert.deepEqual(
          JSON.parse(json.stdout).map(({ node }: { node: string }) => node),
          ['a'],
        );
        assert.match(json.stderr, /1 answer is not proved/);
      } finally {
        await nc.close();
      }
    });
  });
});

const RUNS_AT_ONCE = 3;

/** Each case runs the program anew: some at once. */
async function eachOf<Case>(cases: readonly Case[], check: (one: Case) => Promise<void>): Promise<void> {
  for (let first = 0; first < cases.length; first += RUNS_AT_ONCE)
    await Promise.all(cases.slice(first, first + RUNS_AT_ONCE).map(check));
}
