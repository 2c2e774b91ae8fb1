import type { Turns } from '../util/turns.js';

/** A piece is sent when it has this size. */
const PIECE_LENGTH = 64 * 1024;

/** An array in a document. Its elements are made when their turn comes. */
export class JsonArray {
  constructor(readonly elements: Iterable<unknown>) {}
}

/** An object in a document. Its members are made when their turn comes. */
export class JsonObject {
  constructor(readonly members: Iterable<readonly [key: string, value: unknown]>) {}
}

/** Anything in a document, on one line. */
export class JsonLine {
  constructor(readonly value: unknown) {}
}

/**
 * A JSON document in the form of `JSON.stringify(document, null, 2)`, piece by piece: a long one neither delays messages nor fills the
 * memory.
 *
 * @param document may have a `JsonArray` or `JsonObject` in place of an array or object, but only within others of them
 */
export async function* jsonPieces(document: unknown, turns: Turns): AsyncGenerator<string> {
  let piece = '';
  for (const text of texts(document, '')) {
    piece += text;
    if (piece.length >= PIECE_LENGTH) {
      yield piece;
      piece = '';
    }
    if (turns.isOver) await turns.giveWay();
  }
  yield `${piece}\n`;
}

function* texts(value: unknown, indent: string): Generator<string> {
  const inner = `${indent}  `;
  if (value instanceof JsonArray) {
    let before = '[';
    for (const element of value.elements) {
      yield* member(`${before}\n${inner}`, element, inner);
      before = ',';
    }
    yield before === '[' ? '[]' : `\n${indent}]`;
  } else if (value instanceof JsonObject) {
    let before = '{';
    for (const [key, element] of value.members) {
      yield* member(`${before}\n${inner}${JSON.stringify(key)}: `, element, inner);
      before = ',';
    }
    yield before === '{' ? '{}' : `\n${indent}}`;
  } else yield text(value, indent);
}

function* member(before: string, value: unknown, indent: string): Generator<string> {
  if (value instanceof JsonArray || value instanceof JsonObject) {
    yield before;
    yield* texts(value, indent);
  } else yield before + text(value, indent);
}

function text(value: unknown, indent: string): string {
  if (value instanceof JsonLine) return JSON.stringify(value.value);
  const written = JSON.stringify(value, null, 2);
  // JSON escapes a newline inside a string, so every newline here separates lines.
  return typeof value === 'object' ? written.replaceAll('\n', `\n${indent}`) : written;
}
