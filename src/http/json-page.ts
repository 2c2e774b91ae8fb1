import { Turns } from '../util/turns.js';
import { JSON_TYPE } from './answer.js';
import { jsonPieces } from './json-pieces.js';
import type { Page } from './page-maker.js';

/** A page of JSON with an indent of two spaces, as the Go server has it. @param document see `jsonPieces` */
export async function jsonPage(document: unknown, status = 200): Promise<Page> {
  return { status, type: JSON_TYPE, pieces: jsonPieces(document, await Turns.begin()) };
}
