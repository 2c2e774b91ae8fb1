import { Turns } from '../util/turns.js';

/** Handed on at this size. */
const PIECE_LENGTH = 64 * 1024;

/**
 * A JSON object that ends with a list, made piece by piece, so that a list of any length neither holds up messages nor fills
 * the memory.
 *
 * @param head what comes before the list
 * @param toJson one element, made when its turn comes
 */
export async function* jsonWithList<T>(
  head: object,
  key: string,
  list: readonly T[],
  toJson: (element: T) => object,
): AsyncGenerator<string> {
  const turns = new Turns();
  let piece = `${JSON.stringify(head, null, 2).slice(0, -'\n}'.length)},\n  ${JSON.stringify(key)}: [`;
  for (let i = 0; i < list.length; i++) {
    // A newline within a string is escaped: those that are there separate lines.
    const element = JSON.stringify(toJson(list[i]!), null, 2).replaceAll('\n', '\n    ');
    piece += `${i === 0 ? '' : ','}\n    ${element}`;
    if (piece.length >= PIECE_LENGTH) {
      yield piece;
      piece = '';
    }
    if (turns.isOver) await turns.giveWay();
  }
  yield `${piece}${list.length === 0 ? ']' : '\n  ]'}\n}\n`;
}
