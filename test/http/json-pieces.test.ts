import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { JsonArray, JsonLine, JsonObject, jsonPieces } from '../../src/http/json-pieces.js';
import { Turns } from '../../src/util/turns.js';

async function written(document: unknown): Promise<{ text: string; pieces: number }> {
  let text = '';
  let pieces = 0;
  for await (const piece of jsonPieces(document, await Turns.begin())) {
    text += piece;
    pieces++;
  }
  return { text, pieces };
}

/** The same, of parts that are made when their turn comes. */
function inParts(value: unknown): unknown {
  if (Array.isArray(value)) return new JsonArray(value.map(inParts));
  if (typeof value !== 'object' || value === null) return value;
  return new JsonObject(Object.entries(value).map(([key, each]) => [key, inParts(each)]));
}

describe('JSON in pieces', () => {
  it('is what JSON.stringify writes with an indent of two spaces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (value) => {
        const expected = `${JSON.stringify(value, null, 2)}\n`;
        assert.equal((await written(inParts(value))).text, expected);
        assert.equal((await written(value)).text, expected);
      }),
      { numRuns: 200 },
    );
  });

  it('comes in many pieces where it is long, and makes no element before its turn', async () => {
    let made = 0;
    const elements = function* (): Generator<string> {
      for (; made < 100_000; made++) yield `element ${made}`;
    };
    const pieces = jsonPieces(new JsonObject([['list', new JsonArray(elements())]]), await Turns.begin());
    await pieces.next();
    assert.ok(made > 0 && made < 10_000, `${made} elements for the first piece`);
    for await (const _piece of pieces);
    assert.equal(made, 100_000);
  });

  it('has what is asked for on one line', async () => {
    const { text } = await written(new JsonObject([['numbers', new JsonLine([1, null, 2])]]));
    assert.equal(text, '{\n  "numbers": [1,null,2]\n}\n');
  });
});
