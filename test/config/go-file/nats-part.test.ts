import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { natsNamesOf, natsTextOf } from '../../../src/config/go-file/nats-part.js';
import { parseNats } from '../../../src/config/nats-syntax/parse.js';
import { plain } from '../nats-syntax/plain.js';

const FILES: Readonly<Record<string, string>> = {
  '/etc/stan/users.conf': 'authorization { users: [ {user: a, password: b} ] }',
  '/etc/stan/list.conf': 'LIST = [ {user: a, password: b} ]',
  '/etc/stan/mixed.conf': 'streaming { id: x }\nmax_payload: 3kb\ninclude "deep.conf"',
  '/etc/stan/deep.conf': 'http: 8222\nping_max: 3',
};
const readFile = (path: string): string => FILES[path] ?? assert.fail(path);

function part(text: string, env = {}): { text: string; values: unknown } {
  const file = parseNats('/etc/stan/stan.conf', text, { env, readFile });
  const cut = natsTextOf(file, '/tmp/run');
  const again = parseNats('/tmp/run/part.conf', cut, { env, readFile });
  assert.deepEqual(natsNamesOf(file).sort(), [...again.entries.keys()].sort());
  return { text: cut, values: plain(again.entries) };
}

describe('the part of a Go server file for the nats-server', () => {
  it('has everything but the streaming block and what stanchion does itself, in the same lines', () => {
    const text =
      'port: 4222 # clients\nstreaming {\n  id: a\n}\nhttp: 8222\nmax_payload: 2MB; log_file: "x"; ping_max: 4\npid_file: p';
    const cut = part(text);
    assert.deepEqual(cut.values, { port: 4222, max_payload: 2 * 1024 ** 2, ping_max: 4 });
    const lines = cut.text.split('\n').map((line) => line.trim());
    assert.deepEqual(lines, [
      'port: 4222 # clients',
      '',
      '',
      '',
      '',
      'max_payload: 2MB;                ping_max: 4',
      '',
    ]);
  });

  it('may be cut out of JSON', () => {
    for (const order of [
      { streaming: { id: 'a' }, port: 1, http: 8222, max_payload: 5 },
      { port: 1, max_payload: 5, streaming: { id: 'a' } },
    ])
      for (const indent of [undefined, 2])
        assert.deepEqual(part(JSON.stringify(order, undefined, indent)).values, { port: 1, max_payload: 5 });
  });

  it('has the values that its variables need, and not those that only the streaming block needs', () => {
    const text = `ID: a\nPASS = "b"\nURL: $PASS\nstreaming { id: $ID, password: $PASS, ns: $URL }
      authorization { user: u, password: $PASS }\nmax_payload: $SIZE`;
    assert.deepEqual(part(text, { SIZE: '2kb' }).values, {
      PASS: 'b',
      authorization: { user: 'u', password: 'b' },
      max_payload: 2048,
    });
    assert.deepEqual(part('max_payload: 5\nstreaming { limits { mb: $max_payload } }').values, {
      max_payload: 5,
    });
  });

  it('has its includes, by their path from where it is written, or their text where something of them must go', () => {
    const cut = part('include users.conf\nstreaming { }\ninclude "./mixed.conf"; port: 4');
    assert.match(cut.text, /^include "\.\.\/\.\.\/etc\/stan\/users\.conf"\n/);
    assert.deepEqual(cut.values, {
      authorization: { users: [{ user: 'a', password: 'b' }] },
      max_payload: 3072,
      ping_max: 3,
      port: 4,
    });
    assert.doesNotMatch(cut.text, /streaming|8222/);

    const inner = part(
      'streaming { }\nauthorization {\n  timeout: 2; include list.conf; users: $LIST # x\n}',
    );
    assert.match(inner.text, /timeout: 2; include "\.\.\/\.\.\/etc\/stan\/list\.conf"; users/);
    assert.deepEqual(inner.values, {
      authorization: {
        timeout: 2,
        LIST: [{ user: 'a', password: 'b' }],
        users: [{ user: 'a', password: 'b' }],
      },
    });
  });
});
