import assert from 'node:assert/strict';
import type { Broker } from '../harness/broker.js';
import { get } from './http-rig.js';
import { type ParsedMetrics, parseMetrics } from './prometheus-text.js';

/** What a broker answers Prometheus. */
export async function scrape(broker: Broker): Promise<ParsedMetrics> {
  const { status, headers, text } = await get(broker, '/metrics');
  assert.equal(status, 200);
  assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return parseMetrics(text);
}
