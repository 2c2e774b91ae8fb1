import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/config/config-error.js';
import { readConfigFile } from '../../../src/config/go-file/syntax.js';
import { resolveServeConfig } from '../../../src/config/resolve.js';
import { limitsFor, type ServeConfig } from '../../../src/config/serve-config.js';

const DATA = new URL('../../data/go-conf/', import.meta.url);
const POD = { POD_NAME: 'stan-0', CLUSTER_ADVERTISE: 'stan-0.stan.default.svc' };
const HOUR = 3_600_000;

/** @param file the text of every config file, or of each */
function serve(
  commandLine: string,
  file: string | Record<string, string>,
  env: Record<string, string> = {},
): ServeConfig {
  const readFile = (path: string): string =>
    typeof file === 'string' ? file : (file[path] ?? assert.fail(path));
  return resolveServeConfig(commandLine.split(' '), env, (path, isForNats) =>
    readConfigFile(path, { env, readFile }, isForNats),
  );
}

function sample(name: string, flags = ''): ServeConfig {
  return serve(`-sc ${name}.conf${flags}`, readFileSync(new URL(`${name}.conf`, DATA), 'utf8'), POD);
}

describe('a broker with a configuration file of the Go server', () => {
  it('has its options: flags beat the environment, which beats the file', () => {
    const file = 'streaming { id: a, hb_interval: "5s", limits { mm: 3 } }\nport: 4333';
    for (const flag of ['-sc', '--stan_config', '-c', '--config', '--stan-config']) {
      const { clusterId, heartbeatIntervalMs, natsServer } = serve(`${flag} f.conf`, file);
      assert.deepEqual([clusterId, heartbeatIntervalMs, natsServer?.port], ['a', 5000, 4333]);
    }
    const env = { STANCHION_CLUSTER_ID: 'b', STANCHION_MAX_MSGS: '4' };
    const found = serve('-sc f.conf -mm 5', file, env);
    assert.deepEqual([found.clusterId, found.channelLimits.global.maxMessages], ['b', 5]);
    assert.equal(serve('-mb 5', file, { STANCHION_STAN_CONFIG: 'f.conf' }).clusterId, 'a');
  });

  it('has the limits of its channels as the Go server has them: what is not set comes from the wider pattern', () => {
    const config = sample('every-key');
    const global = config.channelLimits.global;
    assert.deepEqual(
      { ...global },
      {
        maxMessages: 100_000,
        maxBytes: 512 * 1024 ** 2,
        maxAgeMs: 24 * HOUR,
        maxSubscriptions: 0,
        maxInactivityMs: 240 * HOUR,
      },
    );
    assert.deepEqual(
      { ...limitsFor(config, 'orders.x') },
      { ...global, maxMessages: 0, maxAgeMs: 168 * HOUR },
    );
    assert.deepEqual(
      { ...limitsFor(config, 'orders.audit') },
      { ...limitsFor(config, 'orders.x'), maxBytes: 0, maxSubscriptions: 10 },
    );
    assert.deepEqual(
      { ...limitsFor(config, 'sensors.x') },
      { ...global, maxMessages: 100, maxInactivityMs: 0 },
    );
    assert.equal(config.maxChannels, 200);
  });

  it('listens for HTTP where the nats-server in the Go server did', () => {
    const http = (nats: string) => {
      const { httpPort, httpAddress } = serve('-sc f', `streaming { }\n${nats}`);
      return [httpPort, httpAddress];
    };
    assert.deepEqual(http('http: 8222'), [8222, '0.0.0.0']);
    assert.deepEqual(http('http_port: 8222\nhost: "127.0.0.1"'), [8222, '127.0.0.1']);
    assert.deepEqual(http('monitor_port: 8222\nlisten: "10.0.0.1:4222"'), [8222, '10.0.0.1']);
    assert.deepEqual(http('http: "[::1]:8222"'), [8222, '::1']);
    assert.deepEqual(http(''), [undefined, '127.0.0.1']);
    assert.deepEqual(serve('-sc f -m 0', 'streaming { }\nhttp: 8222').httpPort, undefined);
  });

  it('logs in as the file says, and leaves it to the file who else may', () => {
    const login = (file: string, flags = '') => {
      const { nats, natsServer } = serve(`-sc f${flags}`, file);
      return [nats.user, nats.pass, nats.token, natsServer?.isLoginInFile];
    };
    assert.deepEqual(login('streaming { username: a, password: b }'), ['a', 'b', undefined, true]);
    assert.deepEqual(login('streaming { token: t }'), [undefined, undefined, 't', true]);
    const both = 'streaming { username: a, password: b }\nauthorization { user: c, password: d }';
    assert.deepEqual(login(both), ['c', 'd', undefined, true], 'as in the Go server');
    assert.deepEqual(login(both, ' --user e --pass f'), ['e', 'f', undefined, false]);
  });

  it('gives the nats-server its part, and says if that has no effect', () => {
    const file = 'streaming { }\nport: 4333\nmax_payload: 2MB\ntls { cert_file: c, key_file: k }\nhttp: 8222';
    const { natsServer, nats, warnings } = serve('-sc f.conf', file);
    assert.equal(natsServer?.configFile, 'f.conf');
    assert.equal(natsServer?.goFile, 'both');
    assert.equal(nats.tls?.skipVerify, true, 'to our own process on the loopback');
    assert.deepEqual(warnings, []);
    assert.equal(serve('-sc f.conf', 'streaming { id: a }\nhttp: 8222').natsServer?.configFile, undefined);

    assert.deepEqual(serve('-sc f.conf -ns h', file).warnings, [
      'config file f.conf: max_payload, tls have no effect with --nats-server: no nats-server is started',
    ]);
    const other = serve('-sc f.conf --nats-config n.conf', file);
    assert.deepEqual(other.warnings, [
      'config file f.conf: max_payload, tls have no effect beside --nats-config, which names another file for the nats-server',
    ]);
    assert.equal(other.natsServer?.configFile, 'n.conf');
    assert.equal(other.natsServer?.goFile, undefined);
  });

  it('with -c and -sc takes the one for the nats-server and the other for itself, as the Go server does', () => {
    const { natsServer, clusterId, httpPort } = serve('-c nats.conf -sc stan.conf', {
      'stan.conf': 'streaming { id: a }\nport: 4\nhttp: 5',
      'nats.conf': 'port: 6\nhttp: 7\ncluster { port: 8 }\nstreaming { id: b }',
    });
    assert.deepEqual([clusterId, httpPort, natsServer?.port], ['a', 7, 6]);
    assert.deepEqual([natsServer?.configFile, natsServer?.goFile], ['nats.conf', 'nats']);
    for (const flags of [
      '-c a.yaml -sc b.conf',
      '-sc a.conf -sc b.conf',
      '-c a.conf -sc b.conf --nats-config c.conf',
    ])
      assert.throws(() => serve(flags, 'streaming { }'), ConfigError, flags);
  });
});

describe('a stan.conf of the former chart', () => {
  it('with its defaults starts', () => {
    const { clusterId, store, httpPort, httpAddress, nodeName, pidFile, natsServer, warnings } =
      sample('chart-defaults');
    assert.equal(clusterId, 'stan');
    assert.deepEqual(store, { kind: 'file', dir: '/data/stan/store', sync: true });
    assert.deepEqual([httpPort, httpAddress], [8222, '0.0.0.0'], 'where the probes and the exporter ask');
    assert.equal(nodeName, 'stan-0');
    assert.equal(pidFile, '/var/run/stan/stan.pid');
    assert.equal(natsServer?.port, 4222);
    assert.deepEqual(warnings, []);
  });

  it('of a fault-tolerant group starts, with its routes and users', () => {
    const { group, nats, natsServer, channelLimits, log, warnings } = sample('chart-ft');
    assert.deepEqual(group, { name: 'stan-ft', leaseMs: 600 });
    assert.deepEqual([nats.user, nats.pass], ['stan', 's3cret']);
    assert.deepEqual([natsServer?.configFile, natsServer?.isLoginInFile], ['chart-ft.conf', true]);
    assert.equal(channelLimits.for('foo.a').maxMessages, 300);
    assert.equal(channelLimits.for('bar').maxAgeMs, HOUR);
    assert.equal(log.level, 'debug');
    assert.equal(warnings.length, 2, 'sv, and file_options that only tune');
  });

  it('with the URL of a NATS starts', () => {
    const { nats, natsServer } = sample('chart-nats-url');
    assert.equal(natsServer, undefined);
    assert.deepEqual(nats.servers, ['nats://nats.default.svc:4222']);
    assert.equal(nats.credsFile, '/etc/stan-creds/sys.creds');
    assert.deepEqual(nats.tls, {
      caFile: '/etc/nats/certs/ca.crt',
      certFile: '/etc/nats/certs/tls.crt',
      keyFile: '/etc/nats/certs/tls.key',
      serverName: undefined,
      skipVerify: false,
    });
  });

  it('with a SQL store or with Raft is refused, with what to use instead', () => {
    assert.throws(
      () => sample('chart-sql'),
      /line 5: streaming\.store "sql" is not supported: there is no SQL store/,
    );
    assert.throws(
      () => sample('chart-cluster'),
      /line 11: streaming\.cluster is not supported: .*--ft-group/,
    );
  });
});
