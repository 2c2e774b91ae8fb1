import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Argv, Options } from 'yargs';
import { addBenchCommand, BENCH_FLAGS } from '../../src/cli/bench-command.js';
import {
  CLIENT_FLAGS,
  CLUSTER_FLAGS,
  DISCOVER_FLAGS,
  natsConfig,
  natsFlags,
} from '../../src/cli/client-flags.js';
import type { CommandName } from '../../src/cli/command-names.js';
import { COMMAND_PARTS } from '../../src/cli/command-parts.js';
import { commandParser } from '../../src/cli/commands.js';
import { addDrillCommand } from '../../src/cli/drill-command.js';
import { DRILL_FLAGS } from '../../src/cli/drill-flags.js';
import { addPubCommand, PUB_FLAGS } from '../../src/cli/pub.js';
import { addStatusCommand, STATUS_FLAGS } from '../../src/cli/status.js';
import { addSubCommand, SUB_FLAGS } from '../../src/cli/sub.js';
import { resolve } from '../config/resolve.js';

/** What a command makes of the connection options. */
interface Understood {
  nats: unknown;
  clusterId: string;
  discoverPrefix: string;
}

type Understand = (
  words: readonly string[],
  env: Record<string, string>,
  file?: string,
) => Promise<Understood>;

/** An option: its value, its flag in the Go server, and its line in the Go server's config file. */
interface Case {
  value: string;
  goFlag?: string;
  goFile?: string;
}

const CASES: Readonly<Record<string, Case>> = {
  'nats-server': {
    value: 'nats://a:4222,tls://b:4333',
    goFile: 'nats_server_url: nats://a:4222,tls://b:4333',
  },
  'nats-in-order': { value: 'true' },
  user: { value: 'u', goFile: 'username: u' },
  pass: { value: 'p', goFile: 'password: p' },
  creds: { value: '/c/user.creds', goFile: 'credentials: /c/user.creds' },
  'tls-ca': { value: '/c/ca.pem', goFlag: 'tls_client_cacert' },
  'tls-cert': { value: '/c/cert.pem', goFlag: 'tls_client_cert' },
  'tls-key': { value: '/c/key.pem', goFlag: 'tls_client_key' },
  'tls-server-name': { value: 'nats.example' },
  secure: { value: 'true', goFlag: 'tls-skip-verify' },
  'cluster-id': { value: 'orders', goFlag: 'cid', goFile: 'id: orders' },
  'discover-prefix': { value: '_HOUSE.discover' },
};
const NKEY: Readonly<Record<string, Case>> = {
  'nats-server': { value: 'nats://a:4222' },
  auth: { value: 't', goFile: 'token: t' },
  nkey: { value: '/c/user.nk', goFlag: 'nkey_seed_file' },
};

const TOOLS: readonly [
  name: CommandName,
  add: (parser: Argv, onExitCode: (exitCode: number) => void) => Argv,
  own: Readonly<Record<string, Options>>,
  words: readonly string[],
][] = [
  ['pub', addPubCommand, { ...PUB_FLAGS, ...CLIENT_FLAGS }, ['orders', 'mine']],
  ['sub', addSubCommand, { ...SUB_FLAGS, ...CLIENT_FLAGS }, ['orders']],
  ['bench', addBenchCommand, { ...BENCH_FLAGS, ...CLIENT_FLAGS }, []],
  ['status', addStatusCommand, { ...STATUS_FLAGS, ...DISCOVER_FLAGS }, []],
  ['drill', addDrillCommand, DRILL_FLAGS, []],
];

describe('the connection options', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-options-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const serve: Understand = async (words, env, file) => {
    const config = file === undefined ? [] : ['--config', 'file.yaml'];
    const { nats, clusterId, discoverPrefix } = resolve([...config, ...words].join(' '), env, file);
    return { nats, clusterId, discoverPrefix };
  };

  /** Runs the command's own parser, and reads its flags as the command does. */
  function tool([name, add, own, behind]: (typeof TOOLS)[number]): Understand {
    return async (words, env, file) => {
      const path = join(folder, `${name}.yaml`);
      if (file !== undefined) writeFileSync(path, file);
      const config = file === undefined ? [] : ['--config', path];
      let args: Readonly<Record<string, unknown>> | undefined;
      const parser = commandParser([name, ...config, ...words, ...behind], await COMMAND_PARTS[name]());
      const capturing = new Proxy(parser, {
        get: (target, key) =>
          key === 'command'
            ? (command: string, about: string, build: (argv: Argv) => Argv) =>
                target.command(command, about, build, (parsed) => {
                  args = parsed;
                })
            : Reflect.get(target, key),
      });
      await add(capturing, () => {}).parseAsync();
      assert.ok(args !== undefined, `${name} was parsed`);
      const flags = await natsFlags(args, { ...own, ...CLUSTER_FLAGS, ...DISCOVER_FLAGS }, env);
      return {
        nats: natsConfig(flags),
        clusterId: flags.option('cluster-id'),
        discoverPrefix: flags.option('discover-prefix'),
      };
    };
  }

  /** Checks that each tool understands the options as `serve` does. `status` has no --discover-prefix. */
  async function allUnderstand(
    words: readonly string[],
    env: Record<string, string> = {},
    file?: string,
  ): Promise<Understood> {
    const expected = await serve(words, env, file);
    for (const each of TOOLS) {
      const [name] = each;
      const hasPrefix = name !== 'status';
      const own = hasPrefix ? words : without('discover-prefix', words);
      const { discoverPrefix, ...found } = await tool(each)(own, env, file);
      const { discoverPrefix: expectedPrefix, ...expectedOthers } = expected;
      assert.deepEqual(found, expectedOthers, name);
      if (hasPrefix) assert.equal(discoverPrefix, expectedPrefix, name);
    }
    return expected;
  }

  for (const cases of [CASES, NKEY]) {
    const names = Object.entries(cases);
    it(`mean the same to every command, wherever they are given: ${Object.keys(cases).join(', ')}`, async () => {
      const asFlags = names.flatMap(([name, { value }]) => [`--${name}=${value}`]);
      const expected = await allUnderstand(asFlags);
      for (const { value } of Object.values(cases)) {
        const parts = value === 'true' ? [value] : value.split(',');
        for (const part of parts) assert.ok(JSON.stringify(expected).includes(part), part);
      }
      const spaced = names.flatMap(([name, { value }]) =>
        value === 'true' ? [`--${name}`] : [`--${name}`, value],
      );
      assert.deepEqual(await allUnderstand(spaced), expected);
      const asGo = names.map(
        ([name, { value, goFlag }]) => `-${goFlag ?? name.replaceAll('-', '_')}=${value}`,
      );
      assert.deepEqual(await allUnderstand(asGo), expected);
      const env = Object.fromEntries(
        names.map(([name, { value }]) => [`STANCHION_${name.replaceAll('-', '_').toUpperCase()}`, value]),
      );
      assert.deepEqual(await allUnderstand([], env), expected);
      const file = names.map(([name, { value }]) => `${name}: ${value}\n`).join('');
      assert.deepEqual(await allUnderstand([], {}, file), expected);
      const goFile = names
        .map(([name, { value, goFile }]) => `${goFile ?? `${name.replaceAll('-', '_')}: ${value}`}\n`)
        .join('');
      assert.deepEqual(await allUnderstand([], {}, goFile), expected);
    });
  }

  it('beat the environment as flags, and the file from there; of two flags the later one counts', async () => {
    const file = 'nats-server: file\nuser: file\npass: file\ncluster-id: file\n';
    const env = { STANCHION_NATS_SERVER: 'env', STANCHION_USER: 'env' };
    const words = ['--nats-server=first', '--nats-server=flag'];
    const { nats, clusterId } = await allUnderstand(words, env, file);
    const { servers, user, pass } = nats as { servers: string[]; user: string; pass: string };
    assert.deepEqual([servers, user, pass, clusterId], [['nats://flag:4222'], 'env', 'file', 'file']);
  });

  it('can be switched off by any command', async () => {
    const env = { STANCHION_SECURE: 'yes', STANCHION_NATS_IN_ORDER: 'on' };
    for (const words of [
      ['--no-secure', '--no-nats-in-order'],
      ['--secure=no', '-nats_in_order=off'],
    ]) {
      const { nats } = await allUnderstand(['--nats-server=a', ...words], env);
      const { tls, inOrder } = nats as { tls: unknown; inOrder: boolean };
      assert.deepEqual([tls, inOrder], [undefined, false]);
    }
  });

  for (const words of [
    ['--user=u', '--pass=p', '--auth=t'],
    ['--pass=p'],
    ['--creds=c', '--nkey=n'],
    ['--tls-cert=c'],
    ['--secure=maybe'],
    ['--no-secure=true'],
    ['--no-user'],
    ['--nats-server=http://a'],
    ['--nats-server=u:p@a', '--user=x'],
    ['--user'],
    ['--userr=u'],
  ]) {
    it(`are refused in the same words by every command: ${words.join(' ')}`, async () => {
      const line = words.some((word) => word.startsWith('--nats-server'))
        ? words
        : ['--nats-server=a', ...words];
      const hasValues = words.every((word) => word.includes('=') || word.startsWith('--no-'));
      const refusals = await Promise.all(
        // The argument of a command would be the value of a flag that has none.
        [serve, ...TOOLS.filter(([, , , behind]) => hasValues || behind.length === 0).map(tool)].map(
          (understand) =>
            understand(line, {}).then(
              () => 'accepted',
              (error: Error) => `${error.name}: ${error.message}`,
            ),
        ),
      );
      assert.match(refusals[0] ?? '', /^ConfigError: /);
      assert.deepEqual(new Set(refusals).size, 1, refusals.join('\n'));
    });
  }
});

function without(flag: string, words: readonly string[]): string[] {
  const names = [`--${flag}`, `-${flag.replaceAll('-', '_')}`];
  const at = words.findIndex((word) => names.includes(word.split('=')[0] ?? ''));
  if (at < 0) return [...words];
  return words.filter((_, i) => i !== at && (words[at]?.includes('=') === true || i !== at + 1));
}
