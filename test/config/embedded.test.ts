import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../src/config/config-error.js';
import { type BrokerOptions, embeddedConfig } from '../../src/config/embedded.js';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';

describe('the options of startBroker', () => {
  it('may all be left out, or undefined: then they are those of serve', async () => {
    const serve = resolveServeConfig([], {}, () => NO_CONFIG_FILE);
    assert.deepEqual(await embeddedConfig({}), serve);
    assert.deepEqual(await embeddedConfig({ clusterId: undefined, dir: undefined }), serve);
  });

  it('are the flags, with values of the language', async () => {
    const config = await embeddedConfig({
      clusterId: 'c',
      store: 'file',
      dir: 'a b',
      fileSync: false,
      natsServer: ['nats://a:1', 'nats://b:2'],
      maxMsgs: 5,
      maxBytes: '10MB',
      maxAge: '1h30m',
      hbInterval: 500,
      ftGroup: 'g',
      ftLease: '1s',
      httpPort: -1,
    });
    assert.equal(config.clusterId, 'c');
    assert.deepEqual(config.store, { kind: 'file', dir: 'a b', sync: false });
    assert.deepEqual(config.nats.servers, ['nats://a:1', 'nats://b:2']);
    assert.deepEqual(config.group, { name: 'g', leaseMs: 1_000 });
    assert.equal(config.heartbeatIntervalMs, 500);
    assert.equal(config.httpPort, 0);
    const { maxMessages, maxBytes, maxAgeMs } = config.channelLimits.global;
    assert.deepEqual([maxMessages, maxBytes, maxAgeMs], [5, 10 * 1024 * 1024, 5_400_000]);
  });

  it('have limits of single channels', async () => {
    const { channelLimits } = await embeddedConfig({
      maxMsgs: 5,
      channels: { 'a.>': { maxMsgs: 3, maxAge: 1_000 }, 'a.b': { maxAge: 0 } },
    });
    assert.deepEqual([channelLimits.for('a.x').maxMessages, channelLimits.for('a.x').maxAgeMs], [3, 1_000]);
    assert.deepEqual([channelLimits.for('a.b').maxMessages, channelLimits.for('a.b').maxAgeMs], [3, 0]);
    assert.equal(channelLimits.for('b').maxMessages, 5);
  });

  it('are refused by name', async () => {
    const wrong: [options: Record<string, unknown>, says: RegExp][] = [
      [{ maxMsg: 5 }, /^unknown option maxMsg: did you mean maxMsgs\?$/],
      [{ config: 'x' }, /^unknown option config/],
      [{ maxMsgs: 'many' }, /^--max-msgs: "many" is not a whole number/],
      [{ store: 'file' }, /--dir/],
      [{ channels: { 'a..b': {} } }, /a\.\.b/],
      [{ channels: { a: { maxMsg: 1 } } }, /maxMsg/],
      [{ channels: 5 }, /^channels: 5 is not an object/],
      [{ channels: { a: null } }, /^channels: a: null is not an object/],
      [{ channels: { a: { maxMsgs: null } } }, /^maxMsgs: null is not a text/],
      // As texts they would be names.
      [{ dir: null }, /^dir: null is not a text/],
      [{ clusterId: {} }, /^clusterId: \{\} is not a text/],
      [{ signal: 'SIGTERM' }, /^signal: 'SIGTERM' is not an AbortSignal$/],
      [{ signal: null }, /^signal: null is not an AbortSignal$/],
      [{ sinal: undefined }, /^unknown option sinal: did you mean signal\?$/],
      [{ natsServer: ['nats://a:1', undefined] }, /^natsServer: \[ 'nats:\/\/a:1', undefined \] is not/],
    ];
    for (const [options, says] of wrong) {
      await assert.rejects(
        embeddedConfig(options),
        (error) => error instanceof ConfigError && says.test(error.message),
        JSON.stringify(options),
      );
    }
    await assert.rejects(embeddedConfig(null as unknown as BrokerOptions), ConfigError);
  });
});
