import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { allCases, caseName, chosenCases, fuzzFolder, judgeAll, lineOf, makeHistories } from './cases.js';
import type { History } from './histories.js';
import { type Case, judge, type Outcome } from './judge.js';
import { Ledger } from './ledger.js';

const SEED = 1;
const CASES = 600;
/** What lost messages in silence before it was told, or comes near to that. */
const KEPT: readonly string[] = [
  'restarted idle | checkpoints/00000002.000001.ckpt removed | alone',
  'restarted idle | checkpoints/00000002.000001.ckpt removed | member',
  'one burst | journal/00000001.000001.log its first block zeroed | alone',
  'one burst | journal/00000001.000001.log its first block zeroed | member',
  'a burst per term | epoch 4 removed | alone',
  'merged segments | folder segments removed | member',
  'restarted often | journal/00000001.000001.log and journal/00000006.000001.log swapped | alone',
  'checkpointed | journal/00000001.000001.log as it was 2 changes before | alone',
  'journals rolled | journal/00000002.000002.log cut at 297181 | alone',
];

describe('a damaged store', () => {
  let root = '';
  let keepAlive: NodeJS.Timeout | undefined;
  let histories: History[] = [];

  before(async () => {
    root = fuzzFolder();
    // The clock's timers do not keep a process alive.
    keepAlive = setInterval(() => {}, 1000);
    histories = await makeHistories(root);
  });

  after(() => {
    clearInterval(keepAlive);
    rmSync(root, { recursive: true, force: true });
  });

  it('has lost nothing, or is refused untouched, or tells what is lost, before anything of it is deleted', async () => {
    const kept = allCases(histories).filter((one) => KEPT.includes(caseName(one)));
    assert.equal(kept.length, KEPT.length, 'a case that is kept is there no more');
    const counts = new Map<Outcome['kind'], number>();
    const findings: string[] = [];
    await judgeAll([...kept, ...chosenCases(histories, SEED).slice(0, CASES)], root, (one, outcome) => {
      counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1);
      if (outcome.kind !== 'finding') return;
      findings.push(lineOf(one, outcome.what, root));
    });
    assert.deepEqual(findings, []);
    // It would tell of nothing if nothing was damaged, and of everything if no store could be opened.
    for (const kind of ['nothing lost', 'refused', 'told'] as const)
      assert.ok((counts.get(kind) ?? 0) > 0, `no case has ended with: ${kind}`);
  });

  it('is a finding of this fuzzer where a message is missing of which nothing tells', async () => {
    const [whole] = allCases(histories).filter(({ history }) => history.name === 'new and killed');
    assert.ok(whole !== undefined);
    const { history } = whole;
    const ledger = new Ledger();
    for (const state of history.ledger.states) ledger.acknowledged(state);
    const { channels, ...rest } = ledger.last;
    const more = [...channels].map(
      ([name, channel]) => [name, { ...channel, last: channel.last + 1 }] as const,
    );
    ledger.acknowledged({ ...rest, channels: new Map(more) });
    const mutation = { name: 'none', kind: 'none', touched: [], apply: () => history.picture };
    for (const opener of ['alone', 'member'] as const) {
      const one: Case = { history: { ...history, ledger }, mutation, opener };
      const outcome = await judge(one, root);
      assert.equal(outcome.kind, 'finding');
      assert.match(
        outcome.kind === 'finding' ? outcome.what : '',
        /LOST IN SILENCE: channel a ends with message 18 instead of 19/,
      );
    }
  });
});
