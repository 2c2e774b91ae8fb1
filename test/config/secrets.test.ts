import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfigFile } from '../../src/config/config-file.js';
import { OPTION_NAMES, type OptionName, optionOf } from '../../src/config/options.js';
import { resolveServeConfig } from '../../src/config/resolve.js';
import { argsWithoutSecrets } from '../../src/config/secret-flags.js';
import type { NatsConfig } from '../../src/config/serve-config.js';
import { withoutSecrets } from '../../src/util/secrets.js';
import { parseServerUrl, shownUrls } from '../../src/util/server-url.js';

const CANARY = 'kanarienvogel';
const SEED = 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY';

type Resolve = (text: string) => NatsConfig;

/** The ways in which an option can be given. */
function waysOf(name: OptionName): [way: string, resolve: Resolve][] {
  const more = name === 'pass' ? ['--user', 'u'] : [];
  const none = { values: [], channels: [], warnings: [] };
  return [
    ['flag', (text) => resolveServeConfig([...more, `--${name}=${text}`], {}, () => none).nats],
    [
      'environment',
      (text) => {
        const variable = `STANCHION_${name.replaceAll('-', '_').toUpperCase()}`;
        return resolveServeConfig(more, { [variable]: text }, () => none).nats;
      },
    ],
    [
      'file in quotes',
      (text) => {
        const file = parseConfigFile('f', JSON.stringify({ [name]: text }));
        return resolveServeConfig([...more, '--config', 'f'], {}, () => file).nats;
      },
    ],
    [
      'file without quotes',
      (text) => {
        const file = parseConfigFile('f', `${name}: ${text}\n`);
        return resolveServeConfig([...more, '--config', 'f'], {}, () => file).nats;
      },
    ],
  ];
}

/** What is said of a value that is refused; undefined if it is taken. */
function saidOf(resolve: Resolve, text: string): string | undefined {
  try {
    resolve(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a secret in the configuration', () => {
  it('is in no error about its URL, wherever the URL was given and whatever is wrong with it', () => {
    const urls = [
      `nats://bob:${CANARY}@127.0.0.1:999999`,
      `nats://bob:${CANARY}@127.0.0.1:port`,
      `nats://bob:${CANARY}@:4222`,
      `http://bob:${CANARY}@127.0.0.1:4222`,
      `nats://bob:${CANARY}`,
      `nats://bob:${CANARY}@`,
      `nats://bob:x,${CANARY}@127.0.0.1`,
      `nats://bob:12,${CANARY}@127.0.0.1`,
      `nats://bob:${CANARY}@a,,b`,
      `nats://bob:${CANARY}@a,nats://eve:${CANARY}@b`,
      `nats://${CANARY}@a/b`,
      `bob:${CANARY}@ho st`,
    ];
    for (const [way, resolve] of waysOf('nats-server'))
      for (const url of urls) {
        const said = saidOf(resolve, url);
        assert.ok(said !== undefined, `${way} takes ${url}`);
        assert.doesNotMatch(said, new RegExp(CANARY), `${way}: ${url}`);
      }
  });

  it('is in no error about an option that holds one, and no option is forgotten', () => {
    const options = OPTION_NAMES.filter((name) => optionOf(name).kind.secret !== undefined);
    assert.deepEqual(options.toSorted(), [
      ...['auth', 'cluster', 'http-pass', 'http-token', 'nats-server', 'pass', 'routes'],
    ]);
    const texts = ['', '*', '&', '!', '|', '[', '{', '"\\', '`', '%', 'a: ', "'"].map(
      (first) => `${first}${CANARY}`,
    );
    for (const name of options)
      for (const [way, resolve] of waysOf(name))
        for (const text of texts)
          assert.doesNotMatch(saidOf(resolve, text) ?? '', new RegExp(CANARY), `${name} by ${way}: ${text}`);
  });

  it('is not shown if it is given in place of the path of its file', () => {
    for (const name of ['nkey', 'creds', 'tls-key', 'tlskey', 'http-tls-key'] as const)
      for (const text of [SEED, `-----BEGIN PRIVATE KEY-----\n${SEED}`, `eyJ0eXAi.${SEED}`])
        for (const [way, resolve] of waysOf(name)) {
          const said = saidOf(resolve, text);
          assert.ok(said !== undefined, `${name} by ${way}`);
          assert.doesNotMatch(said, new RegExp(SEED), `${name} by ${way}`);
        }
  });

  it('is hidden in whatever is printed afterwards, also one that was in a URL', () => {
    const none = { values: [], channels: [], warnings: [] };
    const given = {
      STANCHION_PASS: 'p-kanarienvogel',
      STANCHION_USER: 'u',
      STANCHION_HTTP_TOKEN: 't-kanarienvogel',
    };
    resolveServeConfig(
      ['--routes', 'nats://u:r%23kanarienvogel@h:1,nats://s-kanarienvogel@h:2'],
      given,
      () => none,
    );
    const text = 'p-kanarienvogel t-kanarienvogel r#kanarienvogel r%23kanarienvogel s-kanarienvogel';
    assert.equal(withoutSecrets(text), '*** *** *** *** ***');
  });

  it('is not shown where a shell has split it', () => {
    const none = { values: [], channels: [], warnings: [] };
    for (const flag of ['--pass', '-pass', '--auth', '--http-token', '--http_pass']) {
      assert.throws(
        () => resolveServeConfig([flag, 'my', CANARY], {}, () => none),
        (error: Error) => error.message.includes(flag) && !error.message.includes(CANARY),
      );
    }
    assert.throws(
      () => resolveServeConfig(['--dir', 'my', 'folder'], {}, () => none),
      /unexpected argument "folder"/,
    );
  });
});

describe('a URL of a NATS server', () => {
  const signs = ['#', '?', '/', '@', ':', '%', '%25', ' ', '[', ']', '"', '\\', 'é', '🔑', '1#2/3?4@5'];

  it('may have a password with any character, and only "%" and a comma need an escape', () => {
    for (const sign of signs) {
      const pass = `x${sign}y`;
      const url = parseServerUrl(`nats://bob:${pass}@nats.example:4222`);
      const host = { scheme: 'nats', host: 'nats.example', port: 4222 };
      const given = sign === '%25' ? 'x%y' : pass;
      assert.deepEqual(url, { ...host, user: 'bob', pass: given }, sign);
      const escaped = parseServerUrl(`nats://bob:${encodeURIComponent(pass)}@nats.example:4222`);
      assert.deepEqual(escaped, { ...host, user: 'bob', pass }, sign);
    }
  });

  it('is host and port beside the credentials, and nothing else', () => {
    const bare = { user: undefined, pass: undefined };
    for (const [text, expected] of [
      ['a', { scheme: 'nats', host: 'a', port: 4222, ...bare }],
      ['tcp://a:80', { scheme: 'nats', host: 'a', port: 80, ...bare }],
      ['TLS://a:1/', { scheme: 'tls', host: 'a', port: 1, ...bare }],
      ['nats://[::1]:2', { scheme: 'nats', host: '[::1]', port: 2, ...bare }],
      ['nats://token@a', { scheme: 'nats', host: 'a', port: 4222, user: 'token', pass: undefined }],
    ] as const)
      assert.deepEqual(parseServerUrl(text), expected, text);
    for (const text of ['', 'nats://', 'nats://a:0', 'nats://a:b', 'nats://a/b', 'nats://a?b', 'nats://a#b'])
      assert.equal(typeof parseServerUrl(text), 'string', text);
    for (const text of ['http://a', 'nats://:b@a', 'nats://a b', 'nats://a<b', 'nats://[a]'])
      assert.equal(typeof parseServerUrl(text), 'string', text);
  });

  it('is shown without credentials, and without what may be a part of them', () => {
    for (const sign of signs)
      for (const host of ['@h:4222', '@h:4222,nats://b:y@h2', '@', '', '@h:x', '@h/y']) {
        // Only its `@` tells a password from a host.
        if (host === '' && sign.includes('@')) continue;
        const shown = shownUrls(`nats://bob:${CANARY}${sign}${CANARY}${host}`);
        assert.doesNotMatch(shown, new RegExp(CANARY), `${sign} ${host}`);
        assert.match(shown, /^nats:\/\//);
      }
    assert.equal(
      shownUrls('nats://a:1,tls://u:p@b:2,nats://[::1]:3'),
      'nats://a:1,tls://***@b:2,nats://[::1]:3',
    );
  });
});

describe('the command line in the list of processes', () => {
  it('has no secret', () => {
    const url = `nats://u:${CANARY}@h`;
    const args = [
      ...['serve', '--pass', CANARY, `--auth=${CANARY}`, '-ns', url, '-routes', url, `--cluster=${url}`],
      ...['--http_token', CANARY, `-http-pass=${CANARY}`, '--dir', 'd', '--pass', 'my', CANARY],
    ];
    assert.deepEqual(argsWithoutSecrets(args), [
      ...['serve', '--pass', '***', '--auth=***', '-ns', 'nats://***@h', '-routes', 'nats://***@h'],
      ...['--cluster=nats://***@h', '--http_token', '***', '-http-pass=***', '--dir', 'd'],
      ...['--pass', '***', '***'],
    ]);
    assert.deepEqual(argsWithoutSecrets(['sub', '-s', url, 'a']), ['sub', '-s', 'nats://***@h', 'a']);
    assert.equal(argsWithoutSecrets(['serve', '--nats-server', 'nats://h:1', '--dir', 'd']), undefined);
  });
});
