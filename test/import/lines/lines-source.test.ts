import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import zlib, { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { messageLine } from '../../../src/import/lines/line-format.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { encodeTimestamp } from '../../../src/protocol/msgproto.js';
import { isChannelNameStringValid } from '../../../src/protocol/stan-subjects.js';
import { NOW_NS, readLines } from './support.js';

const HEADER = {
  ...{ stanchion: 'export', format: 1, version: '1.2.3', clusterId: 'test-cluster', storeId: 'x' },
  ...{ madeAt: '2026-11-29T00:00:00.000Z', clients: 0, channels: 2, subscriptions: 0, messages: 3 },
};
const EXPORT: readonly object[] = [
  HEADER,
  { channel: { name: 'a', firstSequence: 1, lastSequence: 2, messages: 2 } },
  { channel: { name: 'b', firstSequence: 7, lastSequence: 9, messages: 1 } },
  { subject: 'a', sequence: 1, timestamp: '2026-11-29T00:00:00.000000001Z', data: 'one' },
  { subject: 'a', sequence: 2, timestamp: '2026-11-29T00:00:00.000000002Z', data: 'two' },
  { subject: 'b', sequence: 8, timestamp: '2026-11-29T00:00:00.000000003Z', data: 'three' },
  { end: { clients: 0, channels: 2, subscriptions: 0, messages: 3 } },
];

const text = (objects: readonly object[]): string =>
  objects.map((object) => `${JSON.stringify(object)}\n`).join('');

/** A MsgProto, by the definition of protobuf. */
function msgProto(sequence: number, fields: [number, Uint8Array][], timestampNs: bigint): Buffer {
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
    return [...bytes, value];
  };
  const parts = fields.flatMap(([number, bytes]) =>
    bytes.length === 0 ? [] : [Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes],
  );
  const stamp = Buffer.alloc(11, 0x28);
  const end = timestampNs === 0n ? 0 : encodeTimestamp(stamp, 1, timestampNs);
  return Buffer.concat([Buffer.from([8, ...varint(sequence)]), ...parts, stamp.subarray(0, end)]);
}

describe('a store as JSON Lines', () => {
  it('gives back every byte: data, reply, sequence and time', async (t) => {
    const special = ['', '\ufeffbom', '\0', '\u2028"\\', '💥', 'ÿ'].map((each) => Buffer.from(each));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 3000 }), fc.constantFrom(...special));
    const message = fc.record({
      reply: fc.oneof(fc.constant(Buffer.alloc(0)), bytes),
      data: bytes,
      timestampNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 63n - 1n }),
      step: fc.integer({ min: 1, max: 2 ** 40 }),
    });
    const property = fc.asyncProperty(
      fc.string({ minLength: 1 }).filter((name) => isChannelNameStringValid(Buffer.from(name).toString())),
      fc.array(message, { minLength: 1, maxLength: 20 }),
      async (name, list) => {
        const channel = Buffer.from(name).toString();
        const lines: string[] = [];
        const expected: string[] = [];
        let sequence = 0;
        for (const { reply, data, timestampNs, step } of list) {
          sequence += step;
          const fields: [number, Uint8Array][] = [
            [2, Buffer.from(channel)],
            [3, reply],
            [4, data],
          ];
          const encoded = msgProto(sequence, fields, timestampNs);
          expected.push(encoded.toString('hex'));
          lines.push(messageLine(encoded, 0, encoded.length, sequence, JSON.stringify(channel)));
        }
        const { messages, state } = await readLines(t, lines.join(''));
        assert.deepEqual(
          messages[channel]?.map((found) => found.bytes),
          expected,
        );
        assert.equal(state.channels[0]?.lastSequence, sequence);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('keeps bounds, and gaps of sequences, also compressed', async (t) => {
    for (const [name, content] of [
      ['store.jsonl', Buffer.from(text(EXPORT))],
      ['store.jsonl.gz', gzipSync(text(EXPORT))],
      ['named.otherwise', gzipSync(text(EXPORT))],
    ] as const) {
      const { state, messages, problems } = await readLines(t, content, { name });
      assert.equal(state.clusterId, 'test-cluster');
      assert.deepEqual(state.channels[1], {
        ...{ name: 'b', firstSequence: 7, lastSequence: 9, messages: 1, subscriptions: [] },
      });
      assert.deepEqual(
        [messages.a?.map((each) => each.sequence), messages.b?.map((each) => each.sequence)],
        [[1, 2], [8]],
      );
      assert.deepEqual(problems, []);
    }
  });

  it('is read compressed by zstd where Node has that, and refused with what to do where not', async (t) => {
    const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: string) => Buffer };
    const empty = Buffer.from('28b52ffd0001000099e9d851', 'hex');
    const reading = readLines(t, zstdCompressSync?.(text(EXPORT)) ?? empty, { name: 'store.jsonl.zst' });
    if (zstdCompressSync === undefined)
      await assert.rejects(reading, /zstd needs Node 22\.15 .* `zstdcat FILE \|/);
    else assert.equal((await reading).messages.b?.length, 1);
  });

  it('is read or refused, whatever becomes of its bytes', async (t) => {
    const whole = Buffer.from(text(EXPORT));
    const edit = fc.record({
      at: fc.nat(whole.length - 1),
      drop: fc.nat(3),
      put: fc.uint8Array({ maxLength: 4 }),
    });
    const property = fc.asyncProperty(
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (edits, isLenient) => {
        let content: Buffer = whole;
        for (const { at, drop, put } of edits)
          content = Buffer.concat([content.subarray(0, at), put, content.subarray(at + drop)]);
        try {
          const { messages } = await readLines(t, content, { isLenient });
          for (const of of Object.values(messages)) {
            const sequences = of.map((each) => each.sequence);
            assert.deepEqual(
              sequences,
              [...new Set(sequences)].sort((a, b) => a - b),
            );
          }
        } catch (error) {
          assert.ok(error instanceof SourceError, (error as Error).stack);
        }
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  it('is refused when it was cut, wherever that was', async (t) => {
    const whole = text(EXPORT);
    const line = Buffer.byteLength(text(EXPORT.slice(0, -1)));
    for (let length = 1; length < whole.length - 1; length += 7)
      await assert.rejects(readLines(t, whole.slice(0, length)), /store\.jsonl/, `cut at ${length}`);
    await assert.rejects(readLines(t, whole.slice(0, line)), /has no end line: it was cut behind 3 messages/);
    await assert.rejects(readLines(t, gzipSync(whole).subarray(0, 150)), /cannot be read to its end/);
  });

  for (const [what, lines, error] of [
    ['is no JSON', EXPORT.with(3, 'nothing'.split('')), /line 4: it is not a JSON object/],
    ['misses a message', EXPORT.toSpliced(3, 1), /it has 2 messages, and says at its end that there are 3/],
    [
      'has a message twice',
      EXPORT.toSpliced(3, 0, EXPORT[3] ?? {}),
      /line 5: message 1 comes here, and one from 2 to 2 is due/,
    ],
    [
      'has a message beyond the bounds',
      EXPORT.with(5, { ...EXPORT[5], sequence: 10 }),
      /line 6: message 10 comes here, and one from 7 to 9 is due/,
    ],
    [
      'has channels mixed',
      EXPORT.with(3, EXPORT[5] ?? {}).with(5, EXPORT[3] ?? {}),
      /line 5: a message of channel "a" comes here/,
    ],
    [
      'has a time that is none',
      EXPORT.with(3, { ...EXPORT[3], timestamp: '2026-13-01T00:00:00Z' }),
      /line 4: its "timestamp" must be/,
    ],
    [
      'has base64 that is none',
      EXPORT.with(3, { ...EXPORT[3], data: undefined, dataBase64: 'a===' }),
      /line 4: its "dataBase64" is not base64/,
    ],
    [
      'has a channel less than its header says',
      EXPORT.toSpliced(2, 1),
      /it has 1 channels, and its header says 2/,
    ],
    [
      'is of a newer format',
      EXPORT.with(0, { ...HEADER, format: 2 }),
      /has format 2, .* import it with stanchion 1\.2\.3/,
    ],
  ] as const)
    it(`is refused with its line if it ${what}`, async (t) => {
      await assert.rejects(readLines(t, text(lines)), error);
    });

  it('gives what can be read if it is to be lenient, and names what cannot', async (t) => {
    const lines = text(EXPORT).split('\n');
    lines[3] = '{"subject":"a","sequence":1,"timest';
    const { messages, problems } = await readLines(t, lines.slice(0, 6).join('\n'), { isLenient: true });
    assert.deepEqual(
      messages.a?.map((each) => each.sequence),
      [2],
    );
    assert.match(problems.join('\n'), /line 4: .*JSON[\s\S]*no end line: it was cut behind 2 messages/);
  });
});

describe('messages alone, as `stanchion sub -o json` prints them', () => {
  const MIXED = [
    {
      subject: 'b',
      sequence: 4,
      timestamp: '2026-11-29T00:00:00.5Z',
      redelivered: false,
      redeliveryCount: 0,
      data: 'b4',
    },
    { subject: 'a', data: 'a1' },
    {
      subject: 'b',
      sequence: 4,
      timestamp: '2026-11-29T00:00:00.5Z',
      redelivered: true,
      redeliveryCount: 1,
      data: 'b4',
    },
    { subject: 'b', sequence: 6, timestamp: '1800000000123456780', dataBase64: '/w==' },
    { subject: 'a', data: 'a2' },
    { subject: 'b', data: 'b7' },
  ];

  it('make channels, with what they do not say assumed and named', async (t) => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('stanchion-import-'));
    for (const content of [text(MIXED), gzipSync(text(MIXED))]) {
      const { state, messages, problems } = await readLines(t, content);
      assert.equal(state.clusterId, undefined);
      assert.deepEqual(
        state.channels.map((channel) => [
          channel.name,
          channel.firstSequence,
          channel.lastSequence,
          channel.messages,
        ]),
        [
          ['a', 1, 2, 2],
          ['b', 4, 7, 3],
        ],
      );
      const nowMs = Number(NOW_NS / 1_000_000n);
      assert.deepEqual(
        messages.a?.map((each) => [each.sequence, each.timestampMs]),
        [
          [1, nowMs],
          [2, nowMs],
        ],
      );
      assert.deepEqual(
        messages.b?.map((each) => each.sequence),
        [4, 6, 7],
      );
      assert.match(messages.b?.[1]?.bytes ?? '', /^08061201622201ff28/);
      assert.deepEqual(problems, [
        'channel b: 1 lines have no sequence: each gets the one behind the message before it',
        'channel b: 1 lines have no timestamp: they get that of the message before them, or the time of the import',
        'channel b: 1 lines were redeliveries, and are stored once',
        'channel a: 2 lines have no sequence: each gets the one behind the message before it',
        'channel a: 2 lines have no timestamp: they get that of the message before them, or the time of the import',
        'it has messages alone: clients, subscriptions and the positions of durables do not come along',
      ]);
    }
    const after = readdirSync(tmpdir()).filter((name) => name.startsWith('stanchion-import-'));
    assert.deepEqual(after, before, 'no temporary file is left');
  });

  it('are refused where no client could publish to their channel', async (t) => {
    for (const subject of ['a*', 'a..b', '>', 'a/b', '.', 'x'.repeat(1025), '\ud800']) {
      const lines = text([
        { subject, data: 'lost' },
        { subject: 'a b', data: 'kept' },
      ]);
      await assert.rejects(readLines(t, lines), /line 1: .*(is no channel|at most 1024 bytes)/, subject);
      const { state } = await readLines(t, lines, { isLenient: true });
      assert.deepEqual(
        state.channels.map(({ name }) => name),
        ['a b'],
      );
    }
  });

  it('are refused where one comes behind a later one, unless that is a redelivery', async (t) => {
    const lines = [MIXED[3], MIXED[0]].map((each) => each ?? {});
    await assert.rejects(
      readLines(t, text(lines)),
      /line 2: message 4 of channel b comes behind message 6: sort the lines/,
    );
    const { messages } = await readLines(t, text([...lines, ...MIXED.slice(5)]), { isLenient: true });
    assert.deepEqual(
      messages.b?.map((each) => each.sequence),
      [6, 7],
    );
  });
});
