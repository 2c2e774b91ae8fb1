import { Turns } from '../util/turns.js';

/** A piece is sent when it has this size. */
const PIECE_LENGTH = 64 * 1024;

/**
 * A JSON object that ends with a list. It is made piece by piece, so that a long list neither delays messages nor fills the
 * memory.
 *
 * @param head the fields before the list
 * @param toJson makes one element
 */
export async function* jsonWithList<T>(
  head: object,
  key: string,
  list: readonly T[],
  toJson: (element: T) => object,
): AsyncGenerator<string> {
  const turns = await Turns.begin();
  let piece = `${JSON.stringify(head, null, 2).slice(0, -'\n}'.length)},\n  ${JSON.stringify(key)}: [`;
  for (let i = 0; i < list.length; i++) {
    // JSON escapes a newline inside a string, so every newline here separates lines.
    const element = JSON.stringify(toJson(list[i]), null, 2).replaceAll('\n', '\n    ');
    piece += `${i === 0 ? '' : ','}\n    ${element}`;
    if (piece.length >= PIECE_LENGTH) {
      yield piece;
      piece = '';
    }
    if (turns.isOver) await turns.giveWay();
  }
  yield `${piece}${list.length === 0 ? ']' : '\n  ]'}\n}\n`;
}
