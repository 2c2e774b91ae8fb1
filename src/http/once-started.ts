import type { ServerResponse } from 'node:http';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type Handler, sendText } from './answer.js';

/** A client that asks again so often notices the end of a start soon enough. */
export const RETRY_HEADERS = { 'Retry-After': 1 };

/**
 * A page that answers 503 until the start is complete. It would have nothing to tell before, and tests of old clients wait for a
 * 200 from the monitoring port and connect at once.
 */
export function onceStarted(node: MonitoredNode, handle: Handler): Handler {
  return (request, response) => (node.isStarted ? handle(request, response) : notYet(node, response));
}

/** Says that the start is not complete, and what it waits for. */
export function notYet({ health }: Pick<MonitoredNode, 'health'>, response: ServerResponse): void {
  const why = health.reasons.length === 0 ? '' : ` (${health.reasons.join('; ')})`;
  const text = `this broker does not serve yet${why}: try again, or wait for 200 from /readyz`;
  sendText(response, 503, text, RETRY_HEADERS);
}
