// How the HTTP server sends its answers.

import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** A request, as the handler of a path sees it. */
export interface HttpRequest {
  readonly query: URLSearchParams;
}

export type Handler = (request: HttpRequest, response: ServerResponse) => void | Promise<void>;

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';

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
  body: string,
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

/** Sends a body piece by piece, no faster than the client reads. It stops if the client is gone. */
export async function sendPieces(
  response: ServerResponse,
  type: string,
  pieces: Iterable<string> | AsyncIterable<string | Uint8Array>,
  status = 200,
): Promise<void> {
  response.writeHead(status, { ...COMMON_HEADERS, 'Content-Type': type });
  for await (const piece of pieces) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

export function sendJsonPieces(response: ServerResponse, pieces: AsyncIterable<string>): Promise<void> {
  return sendPieces(response, JSON_TYPE, pieces);
}

const COMMON_HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    over.abort();
  }
}
