import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { GUID_HEADER_BYTES } from '../../src/dedup/guid-entry.js';
import { type GuidRun, packGuids, unpackGuids } from '../../src/dedup/packed-guids.js';

const MS = 1_700_000_000_000;
const BASE_62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

interface Entry {
  channelId: number;
  session: number;
  guid: Buffer;
}

function encoded(entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(({ channelId, session, guid }) => {
      const bytes = Buffer.alloc(GUID_HEADER_BYTES + guid.length);
      bytes.writeUInt32LE(channelId, 0);
      bytes.writeUInt32LE(session, 4);
      bytes[8] = guid.length;
      guid.copy(bytes, GUID_HEADER_BYTES);
      return bytes;
    }),
  );
}

/** What the clients of NATS make guids with: a prefix, and a number that grows by the same with each. */
function nuids(base: number, step: number, prefix = 'aB3dE5gH7jK9'): () => string {
  let number = 12_345_678_901;
  return () => {
    number += step;
    let text = '';
    for (let rest = number, i = 0; i < 10; i++) {
      text = BASE_62.charAt(rest % base) + text;
      rest = Math.floor(rest / base);
    }
    return prefix + text;
  };
}

function bytesPerGuid(count: number, entryOf: (i: number) => Omit<Entry, 'guid'> & { guid: string }): number {
  const entries = Array.from({ length: count }, (_, i) => {
    const { guid, ...ids } = entryOf(i);
    return { ...ids, guid: Buffer.from(guid) };
  });
  const run = packGuids(MS, encoded(entries));
  assert.ok(unpackGuids(run).equals(encoded(entries)));
  return run.packed.length / count;
}

describe('packed guids', () => {
  it('of one publisher take little more than two bytes each, whichever client library has made them', () => {
    for (const base of [36, 62]) {
      for (const step of [33, 217, 332]) {
        const next = nuids(base, step);
        const bytes = bytesPerGuid(1024, () => ({ channelId: 1, session: 5, guid: next() }));
        assert.ok(bytes < 2.4, `base ${base}, step ${step}: ${bytes}`);
      }
    }
  });

  it('of many publishers and many channels take little more than four bytes each', () => {
    const next = Array.from({ length: 20 }, (_, i) => nuids(62, 200 + i, `publisher-${i}`.padEnd(12)));
    const bytes = bytesPerGuid(1024, (i) => ({
      channelId: 1 + (i % 50),
      session: 100 + ((i * 7) % 20),
      guid: next[(i * 7) % 20]?.() ?? '',
    }));
    assert.ok(bytes < 4.5, `${bytes}`);
  });

  it('are the same when they are unpacked, whatever is in them', () => {
    const guid = fc.oneof(
      fc.uint8Array({ minLength: 0, maxLength: 255 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.constantFrom('AAAA', 'zzzzzzzzzzzz', ''), fc.integer({ min: 0, max: 99_999 }))
        .map(([prefix, n]) => Buffer.from(`${prefix}${String(n).padStart(5, '0')}`)),
      fc.constantFrom('', 'a', 'abc', 'zzzz', '0000', '000z', 'é').map((text) => Buffer.from(text)),
    );
    const id = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(0xffff_ffff, 0x8000_0000, 127, 128));
    const entry = fc.record({ channelId: id, session: id, guid });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60 }), (entries) => {
        const run = packGuids(MS, encoded(entries));
        assert.deepEqual([run.ms, run.count], [MS, entries.length]);
        assert.ok(unpackGuids(run).equals(encoded(entries)));
      }),
    );
  });

  it('that are cut off, or too many, or have a wrong byte, are refused or are others: nothing worse', () => {
    const next = nuids(62, 217);
    const entries = Array.from({ length: 20 }, (_, i) => ({
      channelId: 1 + (i % 3),
      session: i % 2,
      guid: Buffer.from(i % 5 === 0 ? `guid-${i}` : next()),
    }));
    const run = packGuids(MS, encoded(entries));
    for (let cut = 0; cut < run.packed.length; cut++)
      assert.throws(() => unpackGuids({ ...run, packed: run.packed.subarray(0, cut) }), RangeError);
    assert.throws(() => unpackGuids({ ...run, count: run.count + 1 }), RangeError);
    for (let at = 0; at < run.packed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const packed = Buffer.from(run.packed);
        packed.writeUInt8(packed.readUInt8(at) ^ (1 << bit), at);
        const unpacked = unpackedOrRefused({ ...run, packed });
        if (unpacked !== undefined) assert.equal(packGuids(MS, unpacked).count, run.count);
      }
    }
  });

  it('entries that are cut off are not packed', () => {
    const entries = encoded([{ channelId: 1, session: 2, guid: Buffer.from('guid') }]);
    for (let cut = 1; cut < entries.length; cut++)
      assert.throws(() => packGuids(MS, entries.subarray(0, cut)), RangeError);
  });
});

/** A copy: what is unpacked is valid until something else is packed. */
function unpackedOrRefused(run: GuidRun): Buffer | undefined {
  try {
    return Buffer.from(unpackGuids(run));
  } catch (error) {
    assert.ok(error instanceof RangeError);
    return undefined;
  }
}
