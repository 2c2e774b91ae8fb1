import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteMap } from '../../src/util/byte-map.js';

describe('a map of byte strings', () => {
  it('behaves like a map, wherever in a buffer the key lies', () => {
    const step = fc.record({
      op: fc.constantFrom('set', 'set', 'get', 'delete'),
      key: fc.oneof(
        fc.integer({ min: 0, max: 300 }).map((n) => `channel.${n}.events`),
        fc.string({ maxLength: 4 }),
      ),
      before: fc.integer({ min: 0, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), fc.integer(), (steps, seed) => {
        const map = new ByteMap<number>(seed);
        const model = new Map<string, number>();
        for (const [i, { op, key, before }] of steps.entries()) {
          const text = Buffer.from(key);
          const buffer = Buffer.concat([Buffer.alloc(before, 'x'), text, Buffer.from('tail')]);
          const end = before + text.length;
          if (op === 'set') {
            map.set(buffer, before, end, i);
            model.set(key, i);
            // The key was copied: what becomes of the buffer does not matter.
            buffer.fill(0);
          } else if (op === 'delete') {
            assert.equal(map.delete(buffer, before, end), model.delete(key));
          } else {
            assert.equal(map.get(buffer, before, end), model.get(key));
          }
          assert.equal(map.size, model.size);
        }
        for (const [key, value] of model) {
          const buffer = Buffer.from(key);
          assert.equal(map.get(buffer, 0, buffer.length), value);
        }
      }),
    );
  });
});
