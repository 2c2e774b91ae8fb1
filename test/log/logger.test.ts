import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogFormat } from '../../src/log/levels.js';
import { createLogger } from '../../src/log/logger.js';
import { addSecret } from '../../src/util/secrets.js';

const SEED = 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY';

describe('the log', () => {
  it('has an entry a line as JSON', async () => {
    const { log, lines } = await setUp('json');
    log.info({ port: 4222 }, 'ready');
    log.error({ err: new Error('no') }, 'failed');
    assert.deepEqual(JSON.parse(lines[0]!), { level: 'info', port: 4222, msg: 'ready' });
    assert.equal(JSON.parse(lines[1]!).err.message, 'no');
    assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
  });

  it('is written for people too', async () => {
    const { log, lines } = await setUp('pretty');
    log.warn({ port: 4222 }, 'taken');
    assert.deepEqual(lines, ['WARN: taken {"port":4222}\n']);
  });

  for (const format of ['json', 'pretty'] as const) {
    it(`has no secret of the process, and no text that looks like one, as ${format}`, async () => {
      const { log, lines } = await setUp(format);
      const secret = 'kan"arien\\vogel';
      addSecret(secret);
      addSecret('918273');
      const urls = `nats://bob:aviary@a:1,nats://tok#en@b`;
      log.info({ reason: `no ${secret} here`, bytes: 9182731 }, `at ${urls}: 918273`);
      log.child({ urls }).error({ err: new Error(`${urls} ${secret} ${SEED}`) }, encodeURIComponent(secret));
      const text = lines.join('');
      for (const each of ['arien', 'aviary', 'tok#en', SEED, ' 918273'])
        assert.ok(!text.includes(each), `${each} in ${text}`);
      assert.match(text, /at nats:\/\/\*\*\*@a:1,nats:\/\/\*\*\*@b: \*\*\*/);
      assert.match(text, /9182731/);
    });
  }

  it('shows names from outside, and does what they say in no format', async () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    const unsafe = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/;
    const channel = 'a\x1b[2J\n[ERROR] b\x9b1m\u202e\u2028';
    const pretty = await setUp('pretty');
    pretty.log.warn({ channel }, `about ${channel}`);
    assert.equal(pretty.lines.join('').match(/\n/g)?.length, 1);
    assert.doesNotMatch(pretty.lines.join(''), unsafe);
    assert.ok(pretty.lines[0]?.includes('about a\\u001b[2J\\n[ERROR] b\\u009b1m\\u202e\\u2028 {'));
    const json = await setUp('json');
    json.log.warn({ channel }, `about ${channel}`);
    assert.doesNotMatch(json.lines.join(''), unsafe);
    assert.deepEqual(JSON.parse(json.lines[0]!), { level: 'warn', channel, msg: `about ${channel}` });
  });

  it('leaves out what is below its level, which can change while it runs, for children too', async () => {
    const { log, lines } = await setUp('json');
    const child = log.child({ part: 'store' });
    child.debug({}, 'one');
    log.level = 'debug';
    child.debug({}, 'two');
    log.level = 'error';
    child.warn({}, 'three');
    log.info({}, 'four');
    log.error({}, 'five');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        { level: 'debug', part: 'store', msg: 'two' },
        { level: 'error', msg: 'five' },
      ],
    );
  });
});

async function setUp(format: LogFormat) {
  const lines: string[] = [];
  const output = { write: (line: string) => lines.push(line) };
  return { lines, log: await createLogger({ level: 'info', format, output, withTime: false }) };
}
