import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hasClientUsers, isInOperatorMode, setsMonitoring } from '../../src/nats/server-config-file.js';

const dir = mkdtempSync(join(tmpdir(), 'stanchion-nats-conf-'));
after(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

describe('the users of clients in a configuration file of a nats-server', () => {
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
    ['in a variable', `STAFF = [ { user: a } ]\nauthorization { users: $STAFF }`],
    ['in an account that is a variable', `ONE = { ${list} }\nALL = { A: $ONE }\naccounts: $ALL`],
    ['in a variable that is the authorization', `AUTH: { ${list} }\nauthorization = $AUTH`],
    ['in an account that is included', 'accounts { A { include inner.conf } }'],
    ['that are nkeys, in an account', 'accounts { A: { users: [ { nkey: UABC } ] } }'],
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
    ['in a variable for leaf nodes', `LEAF = { ${list} }\nleafnodes { authorization: $LEAF }`],
    ['in a text that looks like a variable', 'authorization { users: "$STAFF" }'],
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

describe('the operator in a configuration file of a nats-server', () => {
  it('is found, by its names and in a file that is included', () => {
    file('operator.conf', 'operator: "eyJ0eXAi.x.y"');
    for (const content of [
      'operator: /etc/nats/operator.jwt',
      'operators = [ a, b ]',
      '{"operator": "a.jwt"}',
      'include operator.conf',
    ]) {
      assert.equal(isInOperatorMode(file('nats.conf', content)), true, content);
    }
    for (const content of ['server_name: operator', 'resolver: MEMORY', '# operator: a']) {
      assert.equal(isInOperatorMode(file('nats.conf', content)), false, content);
    }
  });
});

describe('the monitoring pages in a configuration file of a nats-server', () => {
  file('pages.conf', 'max_payload: 12345, http_port = 8222');

  for (const content of [
    ...[
      'http: 8222',
      'http:8222',
      'http=8222',
      'http 8222',
      'HTTP: "127.0.0.1:8222"',
      '"https": "h:1"',
      'http:"h:1"',
    ],
    ...[
      'port: 4222, http: 8222',
      'port: 4222; monitor_port: 8222',
      'host: nats://h:1\nhttps_port: 1',
      'http:\n  8222',
    ],
    ...[
      '{"port":4222,"http":8222}',
      'include pages.conf',
      'include: "pages.conf"',
      "include 'pages.conf'; port: 1",
    ],
    ...[
      'cluster { port: 1 } http: 8222',
      'routes: [ nats://h:1 ]\nhttp: 8222',
      'token: a=b\nhttp: 8222',
      'http: $PORT',
    ],
    // No server has it there.
    'cluster { http: 8222 }',
  ]) {
    it(`are set by ${JSON.stringify(content)}`, () =>
      assert.equal(setsMonitoring(file('nats.conf', content)), true));
  }

  for (const content of [
    ...[
      '',
      '# http: 8222',
      '  // http: 8222',
      'port: 4222 # , http: 8222',
      'server_name: http',
      'server_name: "\nhttp: 1\n"',
    ],
    ...[
      'routes: [ http://h:1, http ]',
      'authorization { user: "http", pass: x }',
      'include nobody.conf',
      'include nats.conf',
    ],
    ...['token: a=http: 1', 'http_base_path: "/x"', 'host: http://h:1'],
  ]) {
    it(`are not set by ${JSON.stringify(content)}`, () =>
      assert.equal(setsMonitoring(file('nats.conf', content)), false));
  }
});
