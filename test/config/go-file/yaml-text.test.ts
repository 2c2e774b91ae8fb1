import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readGoFile } from '../../../src/config/go-file/go-file.js';
import { findConfig, readConfigFile } from '../../../src/config/go-file/syntax.js';
import { yamlOf } from '../../../src/config/go-file/yaml-text.js';
import { OPTION_NAMES } from '../../../src/config/options.js';
import { resolveServe } from '../../../src/config/resolve.js';

const DATA = new URL('../../data/go-conf/', import.meta.url);
const ENV = { POD_NAME: 'stan-0', CLUSTER_ADVERTISE: 'stan-0.stan.default.svc' };

function translated(text: string, natsConfig: string | undefined = 'nats.conf'): string {
  const found = findConfig('stan.conf', { env: ENV, readFile: () => text });
  assert.ok(found.kind === 'go');
  const { hasReferences } = found.file;
  return yamlOf(readGoFile(found.file), { from: 'stan.conf', natsConfig, hasReferences });
}

function resolved(path: string, text: string) {
  return resolveServe(['--config', path], {}, (name) =>
    readConfigFile(name, { env: ENV, readFile: () => text }),
  );
}

describe('a file of the Go server as one of stanchion', () => {
  for (const name of ['every-key', 'chart-defaults', 'chart-ft', 'chart-nats-url'])
    it(`means the same: ${name}.conf`, () => {
      const text = readFileSync(new URL(`${name}.conf`, DATA), 'utf8');
      const go = resolved('stan.conf', text);
      const own = resolved('stanchion.yaml', translated(text));
      for (const option of OPTION_NAMES)
        if (!['config', 'nats-config'].includes(option))
          assert.deepEqual(own.options[option], go.options[option], option);
      assert.deepEqual(own.channels, go.channels);
      const ofServer = go.config.natsServer?.configFile;
      assert.equal(own.config.natsServer?.configFile, ofServer === undefined ? undefined : 'nats.conf');
      assert.deepEqual(own.config.warnings, []);
    });

  it('has what has no effect in comments, and a warning about its secrets', () => {
    const text = translated(
      'streaming { ns: "nats://u:geheim@h", file_options { buffer_size: 2MB } }\nmax_payload: 5',
    );
    assert.match(text, /^# It has secrets/m);
    assert.match(text, /^nats-server: nats:\/\/u:geheim@h$/m);
    assert.match(text, /^# No effect: streaming\.file_options\.buffer_size \(line 1\): it tunes/m);
    assert.match(text, /^# No effect: max_payload: no nats-server is started/m);
  });

  it('lets clients in as before: what only the broker logged in with does not become what all need', () => {
    const open = translated('streaming { username: a, password: b }');
    assert.match(open, /^# user: left out/m);
    assert.equal(resolved('f.yaml', open).options.user, undefined);
    const users = translated('streaming { username: a, password: b }\nauthorization { users: [] }');
    assert.equal(resolved('f.yaml', users).options.user, 'a');
  });

  it('says what it lacks if the part for the nats-server has no file', () => {
    assert.match(
      yamlOf(
        readGoFile(
          (() => {
            const found = findConfig('s', { env: {}, readFile: () => 'streaming { }\nmax_payload: 5' });
            assert.ok(found.kind === 'go');
            return found.file;
          })(),
        ),
        { from: 's', natsConfig: undefined, hasReferences: false },
      ),
      /^# For the nats-server that is started, and not in here: max_payload\./m,
    );
  });
});
