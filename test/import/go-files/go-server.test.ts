import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { SourceState } from '../../../src/import/types/source.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { knownStore, putGoStore } from '../../data/go-stores/known-stores.js';
import { CLUSTER_ID, KINDS, LIMITS, makeGoStore, NO_LIMITS } from '../../data/go-stores/scenario.js';
import { findGoServer, GoServer } from '../../harness/go-server.js';
import { boundsOf, boundsSaid, compareState, messagesOf, sourceOf } from './compare.js';

const found = findGoServer();
const binary = 'binary' in found ? found.binary : '';

describe('the files of a real Go server', { skip: 'skipped' in found ? found.skipped : false }, () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-server-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  for (const kind of KINDS.filter(({ name }) => name === 'killed' || name === 'ciphers')) {
    it(`made now (${kind.name}) are read as the server and its clients have it`, async () => {
      const place = join(root, `made-${kind.name}`);
      const known = await makeGoStore(binary, place, kind);
      const source = sourceOf(join(place, 'store'), kind, known);
      const state = await source.open();
      compareState(state, known);
      for (const channel of state.channels)
        assert.deepEqual(await messagesOf(source, channel), known.messages[channel.name] ?? [], channel.name);
      assert.deepEqual(source.problems, []);
    });
  }

  for (const [what, maxMessages, maxBytes] of [
    ['a limit of 17 messages', 17, 0],
    ['a limit of 2,000 bytes', 0, 2000],
    ['limits of 24 messages and 3,000 bytes', 24, 3000],
    ['no limits', 0, 0],
  ] as const) {
    it(`started with ${what} have the same messages for the server as for an import`, async () => {
      const [kind] = KINDS;
      assert.ok(kind);
      const dir = join(root, `limits-${maxMessages}-${maxBytes}`);
      putGoStore(kind, dir);
      const limits = { ...NO_LIMITS, maxMessages, maxBytes };
      const source = sourceOf(dir, kind, knownStore(kind), { limits: () => limits });
      const state: SourceState = await source.open();
      const args = ['-cid', CLUSTER_ID, '-hbi', '60s', '-mm', String(maxMessages), '-mb', String(maxBytes)];
      const server = await GoServer.start(binary, dir, args);
      try {
        // Positions go on: the server sends again at once, and finds what its limits have dropped.
        assert.deepEqual(boundsOf(state), boundsSaid(await server.words()));
      } finally {
        await server.destroy();
      }
      const hidden = state.channels.flatMap(({ hidden: counts }) => [
        counts?.byMaxMessages,
        counts?.byMaxBytes,
      ]);
      assert.equal(
        hidden.some((count) => count !== 0),
        maxMessages + maxBytes > 0,
      );
    });
  }

  const DAMAGES: readonly [what: string, damage: (orders: string) => void][] = [
    ['without an index', (orders) => unlinkSync(join(orders, 'msgs.2.idx'))],
    ['without a slice', (orders) => removeSlice(orders, 2)],
    ['without the first slice', (orders) => removeSlice(orders, 1)],
    ['with a bad row in an index', (orders) => overwrite(join(orders, 'msgs.1.idx'), 200)],
    [
      'with half a record that no index lists',
      (orders) => appendFileSync(join(orders, 'msgs.4.dat'), 'half'),
    ],
    [
      'with half a record and no index',
      (orders) => {
        unlinkSync(join(orders, 'msgs.4.idx'));
        appendFileSync(join(orders, 'msgs.4.dat'), 'half');
      },
    ],
    [
      'with a bad CRC and no index',
      (orders) => {
        unlinkSync(join(orders, 'msgs.1.idx'));
        overwrite(join(orders, 'msgs.1.dat'), 200);
      },
    ],
    ['with half a record of subscriptions', (orders) => appendFileSync(join(orders, 'subs.dat'), 'half')],
    ['with a bad CRC of subscriptions', (orders) => overwrite(join(orders, 'subs.dat'), 20)],
    [
      'with zeros behind the subscriptions',
      (orders) => appendFileSync(join(orders, 'subs.dat'), Buffer.alloc(99)),
    ],
  ];
  for (const [what, damage] of DAMAGES) {
    it(`${what} are read as the server reads them, or refused as by the server`, async () => {
      const [kind] = KINDS;
      assert.ok(kind);
      const dir = join(root, what);
      putGoStore(kind, dir);
      damage(join(dir, 'orders'));
      const open = () => sourceOf(dir, kind, knownStore(kind), { limits: () => NO_LIMITS }).open();
      const state = await open().catch((error: unknown) => {
        assert.ok(error instanceof SourceError && error.code === 'damaged', String(error));
        return undefined;
      });
      const start = GoServer.start(binary, dir, ['-cid', CLUSTER_ID, '-hbi', '60s', '-mm', '0', '-mb', '0']);
      if (state === undefined) {
        await assert.rejects(start, /the Go server ended/);
        return;
      }
      const server = await start;
      try {
        assert.deepEqual(boundsOf(state), boundsSaid(await server.words()));
      } finally {
        await server.destroy();
      }
    });
  }

  for (const [what, args] of [
    ['alone', []],
    ['in a fault-tolerant group', ['--ft_group', 'group']],
  ] as const) {
    it(`that runs ${what} are refused, and can be read once it has been stopped`, async () => {
      const dir = join(root, `running-${args.length}`);
      const [kind] = KINDS;
      assert.ok(kind);
      putGoStore(kind, dir);
      const server = await GoServer.start(binary, dir, ['-cid', CLUSTER_ID, ...args]);
      const open = () =>
        sourceOf(dir, kind, knownStore(kind), { limits: (name) => LIMITS[name] ?? NO_LIMITS }).open();
      try {
        await assert.rejects(open(), (error) => {
          assert.ok(error instanceof SourceError);
          assert.equal(error.code, 'in-use');
          assert.match(error.message, args.length > 0 ? /has a lock on .rootdir.lck/ : /has .*\.dat open/);
          return true;
        });
      } finally {
        await server.stop();
        await server.destroy();
      }
      assert.equal((await open()).channels.length, 7);
    });
  }
});

function removeSlice(channelDir: string, number: number): void {
  for (const ext of ['dat', 'idx']) unlinkSync(join(channelDir, `msgs.${number}.${ext}`));
}

function overwrite(file: string, offset: number): void {
  const bytes = readFileSync(file);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x55;
  writeFileSync(file, bytes);
}
