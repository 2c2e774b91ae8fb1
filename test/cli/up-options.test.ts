import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { flagsOf } from '../../src/cli/flags.js';
import { UP_FLAGS, type UpFlag } from '../../src/cli/up-flags.js';
import { type UpOptions, upOptions } from '../../src/cli/up-options.js';
import { ConfigError } from '../../src/config/config-error.js';
import { CONFIG_FILE_OPTIONS, OPTION_NAMES } from '../../src/config/options.js';

const dir = mkdtempSync(join(tmpdir(), 'stanchion-up-options-'));
const CONFIG = join(dir, 'group.yaml');
after(() => rmSync(dir, { recursive: true }));

/** @param file what a file says that is named by --config */
async function options(
  flags: Record<string, unknown>,
  { file, environment = {} }: { file?: string; environment?: Record<string, string> } = {},
): Promise<UpOptions> {
  if (file !== undefined) writeFileSync(CONFIG, file);
  const args = file === undefined ? flags : { ...flags, config: CONFIG };
  return upOptions(await flagsOf(args, Object.keys(UP_FLAGS) as UpFlag[], environment), environment, 'json');
}

describe('the options of stanchion up', () => {
  it('may all be left out', async () => {
    assert.deepEqual(await options({}), {
      nodes: 3,
      dir: './data',
      port: 4222,
      httpPort: 8222,
      clusterId: 'test-cluster',
      group: 'local',
      credentials: { user: undefined, pass: undefined, token: undefined },
      natsServerBinary: 'nats-server',
      brokerFlags: ['--log-format', 'json'],
      brokerEnvironment: { STANCHION_CONFIG: '', STANCHION_STAN_CONFIG: '' },
    });
  });

  it('come from the file too, which the brokers read if it says anything to them', async () => {
    const own = await options({}, { file: 'nodes: 2\nport: 5000\nhttp-port: off\nid: orders' });
    assert.deepEqual(
      [own.nodes, own.port, own.httpPort, own.clusterId, own.brokerFlags],
      [2, 5000, undefined, 'orders', ['--log-format', 'json']],
    );
    for (const file of ['max-msgs: 5', 'streaming: { ft_lease: 2s }', 'channels: { a: { max-msgs: 5 } }']) {
      const { brokerFlags } = await options({ nodes: '2' }, { file: `port: 5000\n${file}` });
      assert.deepEqual(brokerFlags, ['--config', CONFIG, '--log-format', 'json'], file);
    }
    const { brokerFlags } = await options({}, { file: 'log-format: pretty' });
    assert.deepEqual(brokerFlags, ['--config', CONFIG], 'which is not overruled');
  });

  it('leave the environment to the brokers, and what clients have to show to the nats-servers', async () => {
    const environment = { STANCHION_MAX_AGE: '1h', STANCHION_USER: 'u', STANCHION_PASS: 'p', HOME: '/' };
    const { credentials, brokerEnvironment } = await options({}, { environment });
    assert.deepEqual(credentials, { user: 'u', pass: 'p', token: undefined });
    assert.deepEqual(brokerEnvironment, { ...environment, STANCHION_CONFIG: '', STANCHION_STAN_CONFIG: '' });
    const { credentials: inFile } = await options({}, { file: 'auth: t' });
    assert.deepEqual(inFile, { user: undefined, pass: undefined, token: 't' });
  });

  const CANNOT = 'is impossible in the group that up starts';
  const WRONG: [file: string, says: string][] = [
    ['nats-server: nats://a', `nats-server ${CANNOT}: it has nats-servers of its own`],
    ['streaming: { store: memory }', `streaming\\.store ${CANNOT}: its brokers share a file store`],
    ['nats-in-order: false', `nats-in-order ${CANNOT}: each broker prefers the nats-server beside it`],
    ['tls: { client_ca: ca.pem }', `tls\\.client_ca ${CANNOT}: clients of its nats-servers show --user`],
    ['routes: [nats://a]', `routes ${CANNOT}: its nats-servers listen on 127\\.0\\.0\\.1`],
    ['node-name: a', `node-name ${CANNOT}: its brokers are called stan-1`],
    ['pid: p', `pid ${CANNOT}: it is more than one process`],
    ['nodes: 2\nmax-msgs: 1', 'nodes is no option of the brokers, .* give it as --nodes'],
    ['nodes: 10', 'nodes must be a whole number from 1 to 9'],
    ['port: 65535', 'port must be 65526 at most: the ports of the others follow'],
    ['max-mgs: 1', 'has "max-mgs", which is no flag of this command'],
    ['max-msgs: many', 'max-msgs: must be a whole number'],
    ['ft-lease: 1h', '--ft-lease must be from 200ms to 1m'],
    ['pass: p', 'pass needs --user'],
    ['sql: { driver: mysql }', 'sql: not supported'],
  ];
  for (const [file, says] of WRONG) {
    it(`refuse a file with ${JSON.stringify(file)}`, async () => {
      await assert.rejects(options({}, { file }), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, new RegExp(says));
        return true;
      });
    });
  }

  it('refuse the same in the environment', async () => {
    await assert.rejects(
      options({}, { environment: { STANCHION_CREDS: 'f' } }),
      new RegExp(`environment variable STANCHION_CREDS ${CANNOT}`),
    );
  });

  it('know every option of a broker, and drop none', async () => {
    const text: Partial<Record<string, string>> = { 'http-port': '0', port: '0', store: 'file' };
    for (const name of OPTION_NAMES) {
      if (CONFIG_FILE_OPTIONS.includes(name)) continue;
      const variable = `STANCHION_${name.replaceAll('-', '_').toUpperCase()}`;
      const result = await options({}, { environment: { [variable]: text[name] ?? 'x' } }).catch(
        (error: Error) => error,
      );
      if (!(result instanceof Error))
        assert.equal(result.brokerEnvironment[variable], text[name] ?? 'x', name);
      else assert.match(result.message, new RegExp(`${variable}|--${name}`), name);
    }
  });
});
