import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/config/config-error.js';
import { limitsOfConfigFile } from '../../../src/config/go-file/limits.js';

const limits = (text: string, name = 'stan.conf', given = {}) =>
  limitsOfConfigFile(name, { env: { DAYS: '"48h"' }, readFile: () => text }, given);

const GO = `
  port: 4222
  streaming {
    store: SQL
    sql_options { driver: mysql, source: "x" }
    cluster { node_id: a }
    store_limits {
      max_msgs: 10, mb: 1MB, max_age: $DAYS
      channels {
        "orders.>": { max_msgs: 20, max_age: "1h" }
        orders.audit { max_msgs: 0, max_bytes: -1 }
        "sensors.*" { max_age: "0" }
      }
    }
  }`;

describe('the limits in a config file', () => {
  it('are those of a Go server, also of one with Raft or a SQL store', () => {
    const found = limits(GO);
    const HOUR = 3_600_000;
    assert.deepEqual(found.global, {
      maxMessages: 10,
      maxBytes: 1024 ** 2,
      maxAgeMs: 48 * HOUR,
      maxSubscriptions: 1000,
      maxInactivityMs: 0,
    });
    assert.equal(found.for('other'), found.global);
    assert.deepEqual({ ...found.for('orders.new') }, { ...found.global, maxMessages: 20, maxAgeMs: HOUR });
    assert.deepEqual(
      { ...found.for('orders.audit') },
      { ...found.global, maxMessages: 0, maxBytes: 0, maxAgeMs: HOUR },
      'what it does not set comes from the wider pattern',
    );
    assert.deepEqual({ ...found.for('sensors.a') }, { ...found.global, maxAgeMs: 0 });
    assert.deepEqual(
      found.channels.map(([pattern]) => pattern),
      ['orders.>', 'orders.audit', 'sensors.*'],
    );
    assert.equal(
      found.where.get('maxMessages'),
      'config file stan.conf, line 8: streaming.store_limits.max_msgs',
    );
    assert.equal(found.where.get('maxSubscriptions'), undefined);
  });

  it('are beaten by those that are given', () => {
    const found = limits(GO, 'stan.conf', { maxMessages: 5 });
    assert.equal(found.global.maxMessages, 5);
    assert.equal(found.where.get('maxMessages'), undefined);
    assert.equal(found.for('orders.new').maxMessages, 20);
  });

  it('may be those of a file of stanchion', () => {
    const found = limits('max-msgs: 7\nchannels:\n  a: {max-msgs: 8}', 'f.yaml');
    assert.equal(found.for('a').maxMessages, 8);
    assert.equal(found.for('b').maxMessages, 7);
  });

  it('are the defaults without a file', () => {
    const found = limitsOfConfigFile(undefined, { env: {}, readFile: () => assert.fail('no file is read') });
    assert.equal(found.global.maxMessages, 1_000_000);
    assert.equal(found.global.maxBytes, 1_024_000_000);
  });

  it('are an error if one is wrong', () => {
    assert.throws(
      () => limits('streaming { limits { max_msgs: -1, channels { "a.>.b" {} } } }'),
      (error) =>
        error instanceof ConfigError &&
        /line 1: streaming\.limits\.max_msgs must be a whole number/.test(error.message) &&
        /limits\.channels\.a\.>\.b is no channel name/.test(error.message),
    );
  });
});
