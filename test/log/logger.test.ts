import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger, type LogFormat } from '../../src/log/logger.js';

describe('the log', () => {
  it('has an entry a line as JSON', () => {
    const { log, lines } = setUp('json');
    log.info({ port: 4222 }, 'ready');
    log.error({ err: new Error('no') }, 'failed');
    assert.deepEqual(JSON.parse(lines[0]!), { level: 'info', port: 4222, msg: 'ready' });
    assert.equal(JSON.parse(lines[1]!).err.message, 'no');
    assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
  });

  it('is written for people too', () => {
    const { log, lines } = setUp('pretty');
    log.warn({ port: 4222 }, 'taken');
    assert.deepEqual(lines, ['WARN: taken {"port":4222}\n']);
  });

  it('leaves out what is below its level, which can change while it runs, for children too', () => {
    const { log, lines } = setUp('json');
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

function setUp(format: LogFormat) {
  const lines: string[] = [];
  const output = { write: (line: string) => lines.push(line) };
  return { lines, log: createLogger({ level: 'info', format, output, withTime: false }) };
}
