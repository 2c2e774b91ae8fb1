// How the HTTP server sends its answers.

import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Turns } from '../util/turns.js';

/** A request, as the handler of a path sees it. */
export interface HttpRequest {
  readonly query: URLSearchParams;
  /** Path and query: requests for the same target are for the same page. */
  readonly target: string;
  /** What it came on. */
  readonly connection: object;
}

export type Handler = (request: HttpRequest, response: ServerResponse) => void | Promise<void>;

const TEXT = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json';

/** @param text without a newline at its end */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {},
): void {
  send(response, status, TEXT, `${text}\n`, headers);
}

/** Sends JSON with an indent of two spaces, as the Go server does: scripts may read it line by line. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, JSON_TYPE, `${JSON.stringify(value, null, 2)}\n`);
}

export function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Uint8Array,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, {
    ...COMMON_HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** A client that reads more slowly is disconnected: what it has not read stays in memory. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Sends a body piece by piece, no faster than the client reads. It stops if the client is gone, or takes too long. */
export async function sendPieces(
  response: ServerResponse,
  type: string,
  pieces: Iterable<string> | AsyncIterable<string | Uint8Array>,
  status = 200,
): Promise<void> {
  response.writeHead(status, { ...COMMON_HEADERS, 'Content-Type': type });
  const timer = setTimeout(() => response.destroy(), ANSWER_TIMEOUT_MS);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
  const turns = await Turns.begin();
  for await (const piece of pieces) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
    // A client that reads at once has its next piece in the same round of the event loop otherwise, and all of them in the end.
    if (turns.isOver) await turns.giveWay();
  }
  response.end();
}

/** @param text without a newline at its end */
export function textPage(status: number, text: string): { status: number; type: string; pieces: string[] } {
  return { status, type: TEXT, pieces: [`${text}\n`] };
}

const COMMON_HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

/** Waits until the client has read what was written, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
