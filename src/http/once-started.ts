import type { ServerResponse } from 'node:http';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type Handler, sendText } from './answer.js';

/** A client that retries each second notices the end of a start soon enough. */
export const RETRY_HEADERS = { 'Retry-After': 1 };

/**
 * Makes a page answer 503 until the start is complete. Before that it would have nothing to show, and the tests of old clients wait for
 * a 200 from the monitoring port and then connect at once.
 */
export function onceStarted(node: MonitoredNode, handle: Handler): Handler {
  return (request, response) => (node.isStarted ? handle(request, response) : notYet(node, response));
}

/** Answers 503 with what the start waits for. */
export function notYet({ health }: Pick<MonitoredNode, 'health'>, response: ServerResponse): void {
  const why = health.reasons.length === 0 ? '' : ` (${health.reasons.join('; ')})`;
  const text = `this broker does not serve yet${why}: try again, or wait for 200 from /readyz`;
  sendText(response, 503, text, RETRY_HEADERS);
}
