import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/config/config-error.js';
import type { ConfigFile } from '../../../src/config/config-file.js';
import type { GoType } from '../../../src/config/go-file/go-keys.js';
import { readConfigFile } from '../../../src/config/go-file/syntax.js';
import type { OptionName } from '../../../src/config/options.js';
import { SeededRandom } from '../../broker/model-random.js';
import { fileWith, NAMED_KEYS } from './keys.js';

const read = (text: string, path = 'stan.conf', env = {}): ConfigFile =>
  readConfigFile(path, { env, readFile: () => text });

function refusal(text: string): string {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  assert.fail(`accepted: ${text}`);
}

/** A value that each type of key may have, as it is written and as an option has it. */
const SAMPLES: Readonly<Record<GoType, readonly [written: string, text: string]>> = {
  text: ['"some_text"', 'some_text'],
  'whole number': ['17', '17'],
  'true or false': ['true', 'true'],
  duration: ['"90s"', '90s'],
  list: ['["a"]', ''],
  map: ['{ }', ''],
};
const OWN_SAMPLES: Partial<Record<OptionName, readonly [written: string, text: string]>> = {
  store: ['"FILE"', 'FILE'],
};

describe('every key of a Go server', () => {
  for (const named of NAMED_KEYS) {
    const { key, name, path } = named;
    const { outcome, type } = key;
    it(`${path} is ${outcome.is}`, () => {
      const option = outcome.is === 'option' || outcome.is === 'less' ? outcome.option : undefined;
      const [written, text] = (option && OWN_SAMPLES[option]) ?? SAMPLES[type];
      for (const spelled of [named, { ...named, name: name.toUpperCase() }]) {
        const file = fileWith(spelled, written);
        if (outcome.is === 'refused' || named.section === 'cluster') {
          const refused = named.section === 'cluster' ? 'line 1: streaming.cluster' : `line 2: ${path}`;
          assert.ok(outcome.is === 'refused');
          assert.equal(
            refusal(file).toLowerCase(),
            `config file stan.conf, ${refused} is not supported: ${outcome.why}`.toLowerCase(),
          );
          continue;
        }
        if (outcome.is === 'address') {
          assert.match(refusal(file), /line 2: .* must be a port, or an address with one/);
          assert.deepEqual(
            read(fileWith(spelled, '"10.0.0.1:17"')).values.map((value) => [value.name, value.text]),
            [
              [outcome.host, '10.0.0.1'],
              [outcome.port, '17'],
            ],
          );
          continue;
        }
        const { values, warnings, channels } = read(file);
        const given = values.map((value) => [value.name, value.text]);
        if (outcome.is === 'option' && named.section === 'channel') {
          assert.deepEqual(given, []);
          assert.equal(channels[0]?.pattern, 'orders.*');
          assert.deepEqual(Object.values(channels[0]?.limits ?? {}), [type === 'duration' ? 90_000 : 17]);
        } else if (outcome.is === 'option' || outcome.is === 'less') {
          assert.deepEqual(given, [[option, text]]);
          assert.match(values[0]?.where ?? '', /^config file stan\.conf, line 2: /);
        } else assert.deepEqual(given, []);
        const why = outcome.is === 'noted' || outcome.is === 'less' ? outcome.why : undefined;
        assert.equal(warnings.length, why === undefined ? 0 : 1);
        if (why !== undefined) assert.ok(warnings[0]?.includes('line 2') && warnings[0].endsWith(why));
      }
    });
  }

  it('that is refused may ask for nothing', () => {
    assert.deepEqual(
      read('streaming { partitioning: false, encrypt: no, encryption_key: "" }\nsyslog: off').values,
      [],
    );
  });
});

describe('a file of a Go server', () => {
  it('names all that is wrong, each with its line', () => {
    assert.equal(
      refusal(
        'streaming {\n id: "a b"\n store: sql\n hbi: 5m\n limits { mm: "x" }\n encrypt: on\n secure: maybe\n tls: 3\n}',
      ),
      [
        'config file stan.conf, line 2: streaming.id must be a NATS subject: no spaces, no wildcards, no empty part between dots, 200 characters at most, not "a b"',
        'config file stan.conf, line 3: streaming.store "sql" is not supported: there is no SQL store. Use --store file --dir FOLDER, with what `stanchion import --from postgres://...` or mysql:// has brought along',
        'config file stan.conf, line 4: streaming.hbi must be a duration above zero with its unit, like 30s, 1h30m or 500ms. Without quotes 5m is a number: write "5m"',
        'config file stan.conf, line 5: streaming.limits.mm must be a whole number, 0 or more, not "x"',
        'config file stan.conf, line 6: streaming.encrypt is not supported: the store is not encrypted. Put --dir on an encrypted file system (LUKS, fscrypt)',
        'config file stan.conf, line 7: streaming.secure must be true or false, not "maybe"',
        'config file stan.conf, line 8: streaming.tls must be a map, not a number',
      ].join('\n'),
    );
  });

  it('shows a number that is wrong, and how to write a duration', () => {
    assert.match(
      refusal('streaming { limits { max_msgs: -1 } }'),
      /must be a whole number, 0 or more, not -1$/,
    );
    assert.match(refusal('streaming { limits { max_age: 30 } }'), /or 0\. 30 is a number without a unit$/);
  });

  it('does not show a secret, not even one that is wrong', () => {
    assert.doesNotMatch(refusal('streaming { password: 8473829, token: [8473829] }'), /8473829/);
  });

  it('may say nothing twice in two spellings, and if in one, the later counts', () => {
    assert.match(
      refusal('streaming { limits {\n mm: 1\n max_msgs: 2 } }'),
      /line 3: streaming\.limits\.max_msgs is there already, as mm in line 2/,
    );
    const { values, warnings } = read('streaming {\n id: a\n id: b\n}');
    assert.equal(values[0]?.text, 'b');
    assert.deepEqual(warnings, [
      'config file stan.conf, line 3: streaming.id counts, and not the one in line 2',
    ]);
  });

  it('may have names that the Go server does not know: it ignores them, and so does stanchion, with a warning', () => {
    assert.deepEqual(read('streaming { max_msgs: 3, limits { max_msg: 4 } }').warnings, [
      'config file stan.conf, line 1: streaming.max_msgs has no effect: the Go server does not know it either',
      'config file stan.conf, line 1: streaming.limits.max_msg has no effect: the Go server does not know it either: did you mean max_msgs?',
    ]);
  });

  it('turns a switch on if any of its keys does', () => {
    for (const text of [
      'streaming { sd: true }\ndebug: false',
      'debug: true\nstreaming { sd: false, sv: false }',
    ])
      assert.deepEqual(
        read(text).values.map(({ name, text: value }) => [name, value]),
        [['debug', 'true']],
      );
  });

  it('may have no streaming block: then everything counts for both', () => {
    const { values, nats } = read(
      'store: file\ndir: d\nport: 4333\nmax_payload: 1kb\ntls { cert_file: c, client_cert: d }',
    );
    assert.deepEqual(
      values.map(({ name, text }) => `${name}=${text}`),
      ['store=file', 'dir=d', 'tls-cert=d', 'port=4333'],
    );
    assert.deepEqual(nats?.names, ['port', 'max_payload', 'tls']);
  });
});

describe('any file in the syntax of the NATS servers', () => {
  it('is read, or refused with lines: nothing crashes, and no value is lost without a word', () => {
    const random = new SeededRandom(1234);
    const values = [
      '"FILE"',
      '17',
      '-1',
      '5m',
      '"90s"',
      'on',
      '[1 ]',
      '{ }',
      '{ a: 1 }',
      '"127.0.0.1:5"',
      '1.5',
      '$ENV',
      '2016-05-04T18:53:41Z',
    ];
    let accepted = 0;
    for (let i = 0; i < 2000; i++) {
      const entries = Array.from({ length: 1 + random.below(4) }, () => {
        const key = random.pick(NAMED_KEYS);
        assert.ok(key !== undefined);
        return fileWith(key, random.pick(values) ?? '').replace('streaming { }; ', '');
      });
      const text = `streaming { }\n${entries.join('\n')}`;
      try {
        const { values: found, warnings, channels } = read(text, 'stan.conf', { ENV: '"x"' });
        accepted++;
        for (const value of found) assert.match(value.where, /^config file stan\.conf, line \d+: /);
        assert.ok(Array.isArray(warnings) && Array.isArray(channels));
      } catch (error) {
        assert.ok(error instanceof ConfigError, `${text}\n${error instanceof Error ? error.stack : error}`);
        assert.match(error.message, /line \d+/, text);
      }
    }
    assert.ok(accepted > 100, `${accepted} were read`);
  });
});

describe('the syntax of a config file', () => {
  it('is that of stanchion if its name ends in .yaml or .yml, whatever it has', () => {
    assert.match(
      (() => {
        try {
          return String(read('streaming {\n id: x\n}', 'f.yaml'));
        } catch (error) {
          return String(error);
        }
      })(),
      /config file f\.yaml is in the syntax of nats-server/,
    );
  });

  it('is that of a Go server if it has what only that has: a streaming block, an include, a variable, a name of nats-server', () => {
    for (const text of [
      'max_payload: 1',
      'streaming {id: a}',
      '{"streaming": {"id": "a"}}',
      'id: $ID',
      'id: a\ninclude b',
    ])
      assert.ok(
        readConfigFile('f', { env: { ID: 'a' }, readFile: (path) => (path === 'f' ? text : '') }).nats,
        text,
      );
  });

  it('is else that of stanchion if it is YAML, and else that of a Go server', () => {
    for (const text of ['id: a', '{"id": "a"}', '', 'streaming:\n  id: a'])
      assert.equal(read(text).nats, undefined, text);
    assert.deepEqual(read('id a\nstore memory // words').nats?.names, []);
  });

  it('that is none of them is refused with what is wrong', () => {
    assert.match(
      refusal('streaming {\n id: "x\n'),
      /^config file stan\.conf, line 2, column 6: a double quote is not closed$/,
    );
    assert.match(
      refusal('- a\n- "b'),
      /^config file stan\.conf is neither a file of stanchion nor one of the Go server\.\n.* (is not YAML|must have names).*\n.*line 2, column \d/,
    );
  });

  it('that has a variable without a value is refused, and never taken literally', () => {
    assert.match(refusal('id: $STAN_ID'), /line 1, column 5: there is no value for \$STAN_ID/);
  });
});
