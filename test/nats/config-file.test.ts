import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hasClientUsers } from '../../src/nats/config-file.js';

describe('the users of clients in a configuration file of a nats-server', () => {
  const dir = mkdtempSync(join(tmpdir(), 'stanchion-nats-conf-'));
  after(() => rmSync(dir, { recursive: true }));

  function file(name: string, content: string): string {
    const path = join(dir, name);
    writeFileSync(path, content);
    return path;
  }

  const list = 'users: [ { user: a, password: "}]" } ]';
  file('inner.conf', list);

  for (const [where, content] of [
    ['in authorization', `authorization { timeout: 2, ${list} }`],
    [
      'in authorization, behind a cluster',
      `cluster { routes: [nats://h:1, nats://i:2] }\nauthorization {\n  ${list}\n}`,
    ],
    ['in an account', `accounts: { A: { jetstream: enabled, users = [ { user: a } ] } }`],
    ['in JSON', '{"authorization": {"timeout": 2, "users": [{"user": "a"}]}}'],
    ['in a file that is included', 'authorization {\n  include inner.conf\n}'],
    ['in a file that is included by name in quotes', 'authorization { include: "inner.conf" }'],
  ] as const) {
    it(`are found ${where}`, () => assert.equal(hasClientUsers(file('nats.conf', content)), true));
  }

  for (const [what, content] of [
    [
      'of leaf nodes, beside an authorization without',
      `leafnodes { authorization { ${list} } }\nauthorization { timeout: 2 }`,
    ],
    ['in an included file that is of leaf nodes', 'leafnodes { authorization { include inner.conf } }'],
    ['in a comment', `authorization {\n  # ${list}\n  // ${list}\n  user: a\n}`],
    ['in a text', 'server_name: "authorization { users: [ ] }"'],
    ['in a file that includes itself', 'include nats.conf'],
    ['in a file that is not there', 'include nobody.conf'],
  ] as const) {
    it(`are not those ${what}`, () => assert.equal(hasClientUsers(file('nats.conf', content)), false));
  }

  it('may be in no block that is left open', () => {
    assert.equal(hasClientUsers(file('nats.conf', `}}]] cluster { ${list}`)), false);
  });
});
