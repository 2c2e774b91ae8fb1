import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { environmentName, OPTION_NAMES } from '../../src/config/options.js';
import { refusal, resolve } from './resolve.js';

describe('the source of a value', () => {
  it('is the flag, else the environment, else the file, else the default', () => {
    const file = 'max-msgs: 2';
    const env = { STANCHION_MAX_MSGS: '3' };
    const maxMessages = (...given: Parameters<typeof resolve>) =>
      resolve(...given).channelLimits.global.maxMessages;
    assert.equal(maxMessages(''), 1_000_000);
    assert.equal(maxMessages('-c f', {}, file), 2);
    assert.equal(maxMessages('-c f', env, file), 3);
    assert.equal(maxMessages('-c f -mm 4', env, file), 4);
  });

  it('may be the environment for every option', () => {
    assert.equal(environmentName('max-msgs'), 'STANCHION_MAX_MSGS');
    for (const name of OPTION_NAMES) assert.match(environmentName(name), /^STANCHION_[A-Z_]+$/);
    assert.deepEqual(
      resolve('', { STANCHION_STORE: 'FILE', STANCHION_DIR: 'd', STANCHION_FILE_SYNC: 'false' }).store,
      {
        kind: 'file',
        dir: 'd',
        sync: false,
      },
    );
    assert.equal(resolve('', { STANCHION_CONFIG: 'f' }, 'cluster-id: x').clusterId, 'x');
  });

  it('is named when the value is wrong', () => {
    assert.match(refusal('', { STANCHION_PORT: 'x' }), /^environment variable STANCHION_PORT: "x" is not/);
    assert.match(refusal('-c f', {}, 'port: x'), /^config file f: port: must be a port from 1 to 65535/);
  });
});

describe('the environment', () => {
  it('with an empty variable chooses nothing', () => {
    assert.equal(resolve('', { STANCHION_CLUSTER_ID: '' }).clusterId, 'test-cluster');
  });

  it('with a variable that is nearly an option gets a warning', () => {
    const { warnings } = resolve('', { STANCHION_MAX_MSG: '4', STANCHION_SERVICE_HOST: '10.0.0.1' });
    assert.deepEqual(warnings, [
      'environment variable STANCHION_MAX_MSG is not an option: did you mean STANCHION_MAX_MSGS?',
    ]);
  });

  it('as Kubernetes fills it for a service called stanchion is no configuration', () => {
    assert.equal(resolve('', { STANCHION_PORT: 'tcp://10.0.0.1:4222' }).natsServer?.port, 4222);
  });
});

describe('a config file', () => {
  it('may be YAML or JSON, in kebab-case or snake_case', () => {
    for (const file of ['max-msgs: 5\nhb-interval: 5s', '{"max_msgs": 5, "hb_interval": "5s"}']) {
      const config = resolve('-c f', {}, file);
      assert.equal(config.channelLimits.global.maxMessages, 5);
      assert.equal(config.heartbeatIntervalMs, 5000);
    }
  });

  it('may be empty', () => {
    assert.equal(resolve('-c f', {}, '# nothing yet\n').clusterId, 'test-cluster');
  });

  it("may have the Go server's names and sections", () => {
    const config = resolve(
      '-c f',
      {},
      `streaming:
         id: my-cluster
         store: FILE
         datastore: ./data
         nats_server_url: tls://a:4222
         credentials: me.creds
         server_to_client_hb_fail_count: 3
         tls: { client_ca: ca.pem, client_cert: c.pem, client_key: k.pem }
         file_options: { sync_on_flush: false, buffer_size: 1024 }
         store_limits:
           max_channels: 7
           mm: 8
           max_age: 1h
           channels:
             foo.*: { max_msgs: 9 }`,
    );
    assert.equal(config.clusterId, 'my-cluster');
    assert.deepEqual(config.store, { kind: 'file', dir: './data', sync: false });
    assert.deepEqual(config.nats.servers, ['tls://a:4222']);
    assert.equal(config.nats.credsFile, 'me.creds');
    assert.equal(config.nats.tls?.caFile, 'ca.pem');
    assert.equal(config.heartbeatFailCount, 3);
    assert.equal(config.maxChannels, 7);
    assert.equal(config.channelLimits.global.maxAgeMs, 3_600_000);
    assert.equal(config.channelLimits.for('foo.bar').maxMessages, 9);
    assert.equal(config.channelLimits.for('bar').maxMessages, 8);
    assert.match(
      config.warnings.join(),
      /^config file f: streaming\.file_options\.buffer_size has no effect/,
    );
  });

  it('may be the one in the examples', () => {
    const file = readFileSync(new URL('../../examples/stanchion.yaml', import.meta.url), 'utf8');
    const { channelLimits, store, warnings } = resolve('-c f', {}, file);
    assert.deepEqual(store, { kind: 'file', dir: './data', sync: true });
    assert.equal(channelLimits.for('orders.eu.1').maxAgeMs, 168 * 3_600_000);
    assert.equal(channelLimits.for('orders.audit').maxAgeMs, 0);
    assert.equal(channelLimits.for('sensors.1').maxBytes, 1024 ** 3);
    assert.deepEqual(warnings, []);
  });

  it('takes lists as lists', () => {
    assert.deepEqual(resolve('-c f', {}, 'nats-server:\n  - a\n  - nats://b:1').nats.servers, [
      'nats://a:4222',
      'nats://b:1',
    ]);
  });

  it('with wrong keys or values is refused, naming the path of each', () => {
    assert.equal(
      refusal('-c f', {}, 'max-mgs: 7'),
      'config file f: unknown key max-mgs: did you mean max-msgs?',
    );
    assert.match(
      refusal('-c f', {}, 'store_limits: { channels: { a: { max_x: 1 } } }'),
      /store_limits\.channels\.a\.max_x/,
    );
    const both = refusal('-c f', {}, 'port: x\nlimits:\n  max-age: 30');
    assert.match(both, /port: must be a port/);
    assert.match(both, /limits\.max-age: must be a duration with its unit/);
    assert.match(refusal('-c f', {}, 'dir:'), /dir: must be a path, not nothing/);
    assert.match(refusal('-c f', {}, 'config: other.yaml'), /unknown key config/);
  });

  it('does not show what may be a password', () => {
    assert.equal(
      refusal('-c f', {}, 'user: u\npass: 12345'),
      'config file f: pass: must be a text (in a config file: in quotes), not a number',
    );
  });

  it('that says something twice is refused', () => {
    assert.match(
      refusal('-c f', {}, 'max_msgs: 1\nlimits: { mm: 2 }'),
      /max_msgs is there already|already, as max_msgs/,
    );
    assert.match(refusal('-c f', {}, 'port: 1\nport: 2'), /not YAML: Map keys must be unique/);
  });

  it('that asks for what cannot be honoured is refused', () => {
    assert.match(refusal('-c f', {}, 'sql: { driver: mysql }'), /sql: not supported: there is no SQL store/);
    assert.match(
      refusal('-c f', {}, 'streaming: { cluster: { node_id: a } }'),
      /streaming\.cluster: not supported/,
    );
    assert.match(refusal('-c f', {}, 'partitioning: true'), /partitioning: not supported/);
    assert.deepEqual(resolve('-c f', {}, 'partitioning: false').warnings, []);
  });

  it('in the syntax of nats-server is recognised, and not taken for broken YAML', () => {
    for (const file of [
      'streaming {\n  store: file\n}',
      'streaming: {\n store: file\n dir: x\n}',
      'port = 4222',
    ]) {
      assert.match(refusal('-c f', {}, file), /in the syntax of nats-server.*--nats-config/);
    }
    assert.match(refusal('-c f', {}, 'a: [1'), /^config file f is not YAML: .*[^:]$/);
    assert.match(refusal('-c f', {}, '- a\n- b'), /must have names and values/);
  });

  it('that cannot be read is refused', () => {
    assert.equal(refusal('--config nope.yaml'), '--config: cannot read nope.yaml: no such file: nope.yaml');
  });
});
