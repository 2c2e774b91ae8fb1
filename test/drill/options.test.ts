import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NATS_FLAGS } from '../../src/cli/client-flags.js';
import { DRILL_FLAGS, type DrillFlag, drillOptions } from '../../src/cli/drill-flags.js';
import { flagsOf } from '../../src/cli/flags.js';
import { ConfigError } from '../../src/config/config-error.js';
import type { DrillOptions } from '../../src/drill/drill-options.js';

async function options(
  flags: Record<string, unknown>,
  environment: Record<string, string> = {},
): Promise<DrillOptions> {
  const names = Object.keys({ ...DRILL_FLAGS, ...NATS_FLAGS }) as DrillFlag[];
  return drillOptions(await flagsOf(flags, names, environment));
}

const RUNNING = { 'nats-server': 'nats://a:4222,nats://b:4222' };

describe('the flags of stanchion drill', () => {
  it('may all be left out', async () => {
    assert.deepEqual(await options({}), {
      target: { kind: 'local', nodes: 3, dir: undefined },
      plan: ['term', 'kill', 'pause', 'handover', 'cut'].map((kind) => ({ kind, takeovers: 3 })),
      messages: 10_000,
      rate: 1_000,
      pauseMs: 10_000,
      settleMs: 2_000,
      timeoutMs: 60_000,
    });
  });

  it('name faults, with a number for all or for each', async () => {
    const { plan } = await options({ faults: 'kill=10, cut', takeovers: '2' });
    assert.deepEqual(plan, [
      { kind: 'kill', takeovers: 10 },
      { kind: 'cut', takeovers: 2 },
    ]);
  });

  it('name a running group, which only hands over unless it may be signalled', async () => {
    const { target, plan } = await options({
      ...RUNNING,
      'cluster-id': 'c',
      'ft-group': 'g',
      'discover-prefix': 'd',
      'connect-timeout': '3s',
      'inbox-prefix': '_MINE',
      auth: 't',
    });
    assert.ok(target.kind === 'running');
    const { authenticator, ...nats } = target.nats;
    assert.deepEqual(
      { ...target, nats },
      {
        kind: 'running',
        nats: {
          servers: ['nats://a:4222', 'nats://b:4222'],
          name: 'stanchion drill',
          timeout: 3_000,
          inboxPrefix: '_MINE',
        },
        clusterId: 'c',
        key: undefined,
        problem: undefined,
        discoverPrefix: 'd',
        group: 'g',
        allowSignals: false,
      },
    );
    assert.deepEqual(
      [authenticator].flat().map((show) => show?.('nonce')),
      [{ auth_token: 't' }],
    );
    assert.deepEqual(plan, [{ kind: 'handover', takeovers: 3 }]);
    const signalled = await options({ ...RUNNING, 'allow-signals': true });
    assert.deepEqual(
      signalled.plan.map(({ kind }) => kind),
      ['term', 'kill', 'pause', 'handover'],
    );
  });

  it('of a broker are no hindrance in the environment: what is for the other kind of group plays no part', async () => {
    const broker = { STANCHION_DIR: '/data', STANCHION_FT_GROUP: 'g', STANCHION_CLUSTER_ID: 'c' };
    const local = await options({ nodes: '2', dir: 'd' }, broker);
    assert.deepEqual(local.target, { kind: 'local', nodes: 2, dir: 'd' });
    const { target } = await options({}, { ...broker, STANCHION_NATS_SERVER: 'nats://a' });
    assert.equal(target.kind === 'running' && target.clusterId, 'c');
  });

  const WRONG: [flags: Record<string, unknown>, says: RegExp][] = [
    [{ faults: 'kil' }, /--faults: there is no "kil", did you mean kill\? There are term, kill, pause/],
    [{ faults: '' }, /--faults is empty/],
    [{ faults: 'kill,' }, /--faults: there is no ""\. There are term/],
    [{ faults: 'kill=0' }, /--faults kill= must be a whole number from 1 to 1000, and is "0"/],
    [{ faults: 'kill=1=2' }, /--faults: "kill=1=2" must be kill or kill=NUMBER/],
    [{ faults: 'kill,term,kill' }, /--faults names kill twice/],
    [{ takeovers: '1.5' }, /--takeovers must be a whole number from 1 to 1000, and is "1\.5"/],
    [{ messages: '-1' }, /--messages must be a whole number from 0 to 20000000/],
    [{ rate: 'fast' }, /--rate must be a whole number from 1 to 50000, and is "fast"/],
    [{ rate: '' }, /--rate is empty/],
    [{ nodes: '1' }, /--nodes must be a whole number from 2 to 9/],
    [{ pause: '10' }, /--pause must be a duration from 1s to 1h, as 2s or 500ms, and is "10"/],
    [{ settle: '2h' }, /--settle must be a duration from 0s to 1h/],
    [{ timeout: '10ms' }, /--timeout must be a duration from 1s to 1h/],
    [{ 'ft-group': 'g' }, /--ft-group is for a running group: name it with --nats-server/],
    [{ 'allow-signals': true }, /--allow-signals is for a running group/],
    [{ ...RUNNING, dir: 'd' }, /--dir d: there is no store with a key there/],
    [
      { ...RUNNING, 'group-key': 'd' },
      /--group-key d: it is not named as a key file, stanchion\.STOREID\.key/,
    ],
    [
      { ...RUNNING, 'group-key': '/none/stanchion.AAAAAAAAAAAAAAAAAAAAAA.key' },
      /--group-key \/none\/stanchion\.A*\.key: .*missing/,
    ],
    [{ 'group-key': 'f' }, /--group-key is for a running group: name it with --nats-server/],
    [{ ...RUNNING, nodes: '3' }, /--nodes is for a local group/],
    [{ ...RUNNING, pass: 'p' }, /--pass needs --user/],
    [{ ...RUNNING, user: 'u', auth: 't' }, /--auth and --user exclude each other/],
    [{ ...RUNNING, creds: 'a', nkey: 'b' }, /--creds and --nkey exclude each other/],
    [{ ...RUNNING, 'tls-cert': 'c' }, /--tls-cert and --tls-key belong together/],
    [{ ...RUNNING, 'cluster-id': 'a b' }, /--cluster-id: "a b" is not a NATS subject/],
    [{ ...RUNNING, 'inbox-prefix': 'a.>' }, /--inbox-prefix: "a\.>" is not a NATS subject/],
    [{ 'nats-server': 'nats://a,' }, /--nats-server: "nats:\/\/a\*\*\*" is not a list, separated by commas/],
    [{ 'nats-server': 'http://a' }, /--nats-server: "http:\/\/a" is not a URL like nats:\/\/host:4222/],
    [{ creds: 'f' }, /--creds is for a running group: name it with --nats-server/],
    [{ ...RUNNING, pause: '2s' }, /--pause is how long the fault pause lasts, which is not among the faults/],
    [{ faults: 'kill=1,cut=2', takeovers: '2' }, /--takeovers is for faults without a number/],
    [{ ...RUNNING, faults: 'term' }, /--faults term signals the processes .* Without it only handover/],
    [{ ...RUNNING, faults: 'cut', 'allow-signals': true }, /--faults cut is for a local group/],
  ];
  for (const [flags, says] of WRONG) {
    it(`refuse ${JSON.stringify(flags)}`, async () => {
      await assert.rejects(
        options(flags),
        (error) => error instanceof ConfigError && says.test(error.message),
      );
    });
  }
});
