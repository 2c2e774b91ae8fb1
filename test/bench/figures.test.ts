import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { chosenLines } from './flags.js';
import type { Line, LoadLine } from './lines/line.js';
import { LINES } from './lines/table.js';
import { waitsOf } from './load/waits.js';
import type { Machine } from './machine.js';
import { writtenPerByte } from './measure/load.js';
import { DOC_PAGES, DOCS_RUN } from './report/doc-files.js';
import { withFigures } from './report/docs.js';
import { hundredths, milliseconds, rate } from './report/format.js';
import { formatReport } from './report/report.js';
import { LineFigures, median, type Run } from './report/run-figures.js';
import { runText } from './report/run-text.js';

const MACHINE: Machine = {
  cpu: 'a processor',
  cores: 2,
  memoryGiB: 4,
  os: 'Linux',
  node: 'v20.0.0',
  natsServer: 'v2.9.10',
  commit: 'abc1234',
  date: '2026-11-28',
  fileSystem: 'ext4',
  loadAverage: 0,
};

function lineOf(id: string): Line {
  const line = LINES.find((candidate) => candidate.id === id);
  assert.ok(line !== undefined, id);
  return line;
}

function runOf(sides: Run['lines'][number]['sides'], id = 'publish-128'): Run {
  return { machine: MACHINE, rounds: 3, isQuick: false, lines: [{ id, sides }], failed: [] };
}

describe('the figures of a run', () => {
  it('are medians of the rounds', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(median([]), undefined);
  });

  it('leave out what the system does not tell', () => {
    assert.equal(median([Number.NaN, 5, undefined]), 5);
  });

  it('compare rounds that ran next to each other, not medians', () => {
    const figures = new LineFigures(lineOf('publish-128'), {
      go: [{ warm: 100 }, { warm: 200 }, { warm: 400 }],
      stanchion: [{ warm: 150 }, { warm: 220 }, { warm: 200 }],
    });
    assert.equal(figures.value('stanchion', 'warm'), 200);
    assert.equal(figures.ratio('stanchion', 'warm', 'go'), 1.1);
  });

  it('reach a target at its limit, on the right side of it', () => {
    const figures = new LineFigures(lineOf('publish-128'), {
      go: [{ warm: 100, cpu: 10 }],
      stanchion: [{ warm: 130, cpu: 6 }],
    });
    const reached = (limit: object) => figures.reached({ figure: 'warm', beside: 'go', ...limit })?.isReached;
    assert.equal(reached({ atLeast: 1.3 }), true);
    assert.equal(reached({ atLeast: 1.31 }), false);
    assert.equal(figures.reached({ figure: 'cpu', beside: 'go', atMost: 0.6 })?.isReached, true);
    assert.equal(figures.reached({ figure: 'cpu', beside: 'go', atMost: 0.59 })?.isReached, false);
    assert.equal(figures.reached({ figure: 'written', atMost: 1 }), undefined);
  });

  it('count the bytes of files, and not those that went to NATS', () => {
    // 10 messages of 100 bytes: 1,500 bytes to files, 700 to the socket.
    const result = {
      totalMessages: 10,
      sentBytes: 2_000,
      natsReadBytes: 50_000,
      targetWrittenBytes: 4_000,
      redelivered: 0,
    };
    const after = { target: 4_000 + 1_500 + 700, natsRead: 50_000 + 2_000 + 700 };
    assert.equal(writtenPerByte(result, after, 100), 1.5);
  });

  it('say how long the slowest hundredth waited', () => {
    const waits = waitsOf(Array.from({ length: 200 }, (_, i) => 200 - i));
    assert.deepEqual(waits, { count: 200, medianMs: 101, p99Ms: 199, longestMs: 200 });
  });

  it('are shown with three digits', () => {
    assert.equal(rate(123_456), '123,000');
    assert.equal(rate(2_744), '2,740');
    assert.equal(rate(43.4), '43');
    assert.equal(milliseconds(7.04), '7.0 ms');
    assert.equal(hundredths(1.014), '1.01');
  });
});

describe('the table of lines', () => {
  it('has each id once', () => {
    const ids = LINES.map(({ id }) => id);
    assert.deepEqual(ids, [...new Set(ids)]);
  });

  it('has only targets beside sides that are measured with the line', () => {
    for (const { id, sides, subject, targets } of LINES) {
      assert.ok(sides.includes(subject), id);
      for (const { beside = subject } of targets) assert.ok(sides.includes(beside), `${id}: ${beside}`);
    }
  });

  it('gives each publisher a window that takes its channels evenly', () => {
    const loads = LINES.filter((line): line is LoadLine => line.kind === 'load');
    for (const { id, window, channels } of loads) assert.equal(window % channels, 0, id);
  });

  it('is chosen from by parts of ids, else by what is common', () => {
    const chosen = (parts: string[], isAll = false, isQuick = false) =>
      chosenLines(parts, { isAll, isQuick }).map(({ id }) => id);
    assert.deepEqual(chosen(['busy-128', 'start-h']), ['busy-128', 'start-help']);
    assert.equal(chosen([], true).length, LINES.length);
    assert.ok(chosen([]).length < LINES.length);
    assert.ok(chosen([], false, true).length < chosen([]).length);
    assert.throws(() => chosen(['nothing']), /no line's id contains "nothing"/);
  });
});

describe('the report', () => {
  const sides = {
    go: [{ warm: 100_000, cold: 50_000, cpu: 5 }],
    stanchion: [{ warm: 131_000, cold: 40_000, cpu: 2.5, written: 1.5 }],
  };

  it('has a column for each figure that was measured, and none for another', () => {
    const report = formatReport(runOf(sides));
    assert.match(report, /\| 128 B, 1 publisher \| 100,000 \| 131,000 \| 1\.31 \| 0\.80 \| 0\.50 \|/);
    assert.ok(!report.includes('bare floor'));
    assert.ok(!report.includes('disk busy'));
  });

  it('says what is missed, and by how much', () => {
    const report = formatReport(runOf(sides));
    assert.match(report, /3 of 4 targets are reached/);
    assert.match(
      report,
      /\| 128 B, 1 publisher \| messages a second, cold, beside the Go server \| 0\.80 \| at least 1\.20 \|/,
    );
  });

  it('warns of a machine that others used', () => {
    const run = runOf(sides);
    assert.ok(!formatReport(run).includes('Others were at work'));
    const busy = { ...run, machine: { ...MACHINE, loadAverage: 3 } };
    assert.match(formatReport(busy), /load average at the start 3\.0\. Others were at work/);
  });
});

describe('the pages of the docs', () => {
  const run = runOf({ go: [{ warm: 100_000 }], stanchion: [{ warm: 150_000 }] });
  const page = (name: string) => `before\n<!-- bench:${name} -->\nold\n<!-- /bench:${name} -->\nafter\n`;

  it('get their tables between the marks', () => {
    const text = withFigures(page('go'), run);
    assert.match(text, /^before\n<!-- bench:go -->\n\| file store/);
    assert.match(
      text,
      /\| 128 B, 1 publisher \| 100,000 \| 150,000 \| 1\.50 \|\n<!-- \/bench:go -->\nafter\n$/,
    );
    assert.equal(withFigures(text, run), text);
  });

  it('are not written from a run that lacks figures, or with a mark of no table', () => {
    assert.throws(() => withFigures(page('rest'), run), /no figures for the table rest/);
    assert.throws(() => withFigures(page('other'), run), /names no table: other/);
  });

  it('show what docs/performance.json has, and no number typed by hand', () => {
    const kept = JSON.parse(readFileSync(DOCS_RUN, 'utf8')) as Run;
    for (const path of DOC_PAGES) {
      const text = readFileSync(path, 'utf8');
      assert.match(text, /<!-- bench:go -->/);
      assert.equal(withFigures(text, kept), text, `${path}: npm run bench:docs writes its tables`);
    }
  });

  it('come from figures that are kept with a line for each round, and nothing lost but noise', () => {
    const text = runText(runOf({ go: [{ warm: 123_456.789, cpu: 0.00012345678 }] }));
    assert.match(text, /\{ "warm": 123460, "cpu": 0\.00012346 \}/);
    assert.equal(JSON.parse(text).machine.cpu, 'a processor');
  });
});
