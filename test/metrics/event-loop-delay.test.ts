import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoopDelay } from '../../src/metrics/event-loop-delay.js';
import { waitFor } from '../harness/wait.js';
import { parseMetrics, sampleOf } from '../http/prometheus-text.js';

const NAME = 'stanchion_event_loop_delay_seconds';
const STALL_MS = 300;
const WINDOW_MS = 50;

function read(delay: EventLoopDelay): { longest: number; sum: number; count: number } {
  const metrics = parseMetrics(delay.text());
  return {
    longest: sampleOf(metrics, NAME, { quantile: '1' }),
    sum: sampleOf(metrics, `${NAME}_sum`),
    count: sampleOf(metrics, `${NAME}_count`),
  };
}

/** The delay is what a timer comes too late by: one has to run before the stall, and one after it. */
async function stall(): Promise<void> {
  await sleep(50);
  const untilMs = performance.now() + STALL_MS;
  while (performance.now() < untilMs);
  await sleep(50);
}

describe('the delay of the event loop', () => {
  it('is a summary', () => {
    assert.equal(parseMetrics(new EventLoopDelay().text()).types.get(NAME), 'summary');
  });

  it('shows a stall to every reader within the window, or the next', async () => {
    const delay = new EventLoopDelay();
    await stall();
    for (let i = 0; i < 3; i++) assert.ok(read(delay).longest >= (STALL_MS / 1e3) * 0.9);
  });

  it('forgets a stall after two windows, and not in its sum', async () => {
    const delay = new EventLoopDelay(WINDOW_MS);
    await stall();
    await waitFor(() => read(delay).longest < 0.1, 'later windows are without it');
    assert.ok(read(delay).sum >= (STALL_MS / 1e3) * 0.9);
  });

  it('has a sum and a count that never go down, over many windows', async () => {
    const delay = new EventLoopDelay(WINDOW_MS);
    let last = read(delay);
    for (let i = 0; i < 200; i++) {
      // Over the ends of many windows, at any point of them.
      await sleep(i % 13);
      const next = read(delay);
      assert.ok(next.count >= last.count && next.sum >= last.sum, JSON.stringify({ last, next }));
      last = next;
    }
    assert.ok(last.count > 10);
  });
});
