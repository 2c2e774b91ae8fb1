import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SqlSource, type SqlSourceOptions } from '../../../src/import/sql/sql-source.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { knownStore } from '../../data/go-stores/known-stores.js';
import { type Kind, SQL_KINDS } from '../../data/go-stores/scenario.js';
import { makeTables, openSession, putTables, type SqlSession } from '../../data/go-stores/sql-tables.js';
import { type DatabaseKind, DatabaseProcess } from '../../sql/database-process.js';
import { compareState, messagesOf } from '../go-files/compare.js';

const [PLAIN, , SEALED] = SQL_KINDS as readonly [Kind, Kind, Kind];

for (const server of ['postgres', 'mariadb'] as const satisfies readonly DatabaseKind[]) {
  describe(`the tables of a Go server in ${server}`, {
    skip: DatabaseProcess.missing(server) ?? false,
  }, () => {
    let database: DatabaseProcess;
    let session: SqlSession;
    before(async () => {
      database = await DatabaseProcess.start(server);
      session = await openSession(database);
      await makeTables(session, database);
    });
    after(async () => {
      await session?.close();
      await database?.stop();
    });

    /** A source for the tables as this kind of server left them, at the time when it did. */
    async function sourceOf(kind: Kind, other: Partial<SqlSourceOptions> = {}): Promise<SqlSource> {
      await putTables(session, kind);
      const { atMs } = knownStore(kind);
      return new SqlSource({
        url: database.url,
        key: kind.key === undefined ? undefined : Buffer.from(kind.key),
        isLenient: false,
        clock: { wallNs: () => BigInt(atMs) * 1_000_000n },
        ...other,
      });
    }

    async function isRefused(source: SqlSource, code: SourceError['code'], pattern: RegExp): Promise<void> {
      await assert.rejects(source.open(), (error: unknown) => {
        assert.ok(error instanceof SourceError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, pattern);
        // The URL as it is shown has no password.
        assert.ok(!error.message.includes('w0rd'), error.message);
        return true;
      });
      await source.close();
    }

    for (const kind of SQL_KINDS)
      it(`(${kind.name}) have the clients, durables, positions and messages that the server said`, async () => {
        const source = await sourceOf(kind);
        const known = knownStore(kind);
        const state = await source.open();
        compareState(state, known);
        for (const channel of state.channels)
          assert.deepEqual(
            await messagesOf(source, channel),
            known.messages[channel.name] ?? [],
            channel.name,
          );
        assert.deepEqual(source.problems, []);
        await source.close();
      });

    it('have fewer messages with lower limits, and it is known how many those hide', async () => {
      const limits = { maxMessages: 10, maxBytes: 0, maxAgeMs: 0 };
      const source = await sourceOf(PLAIN, { limits: () => limits });
      const { channels } = await source.open();
      const orders = channels.find(({ name }) => name === 'orders');
      assert.ok(orders !== undefined);
      assert.deepEqual(
        [orders.firstSequence, orders.lastSequence, orders.messages, orders.hidden],
        [71, 80, 10, { byMaxMessages: 70, byMaxBytes: 0, byMaxAge: 0 }],
      );
      assert.equal((await messagesOf(source, orders)).length, 10);
      await source.close();
    });

    it('are limited by bytes from the newest message on, which stays whatever its size', async () => {
      const orders = async (maxBytes: number): Promise<unknown[]> => {
        const source = await sourceOf(PLAIN, { limits: () => ({ maxMessages: 0, maxBytes, maxAgeMs: 0 }) });
        const { channels } = await source.open();
        await source.close();
        const found = channels.find(({ name }) => name === 'orders');
        return [found?.firstSequence, found?.messages, found?.hidden?.byMaxBytes];
      };
      const sizes = await session.run(
        'SELECT size FROM Messages WHERE seq > 77 AND id = (SELECT id FROM Channels WHERE name = ?)',
        ['orders'],
      );
      const three = sizes.map(([size]) => Number(size)).reduce((sum, size) => sum + size);
      assert.deepEqual(await orders(three), [78, 3, 77]);
      assert.deepEqual(await orders(three - 1), [79, 2, 78]);
      assert.deepEqual(await orders(1), [80, 1, 79]);
    });

    it('are opened with their key only', async () => {
      await isRefused(
        await sourceOf(SEALED, { key: undefined }),
        'key',
        /is encrypted: .*NATS_STREAMING_ENCRYPTION_KEY/,
      );
      await isRefused(await sourceOf(SEALED, { key: Buffer.from('other') }), 'key', /another key/);
    });

    it('are refused while a server raises their lock, and read when it is left', async () => {
      const source = await sourceOf(PLAIN);
      await session.run('INSERT INTO StoreLock (id, tick) VALUES (?, ?)', ['active', 1]);
      let tick = 1;
      const raised = setInterval(() => {
        void session.run('UPDATE StoreLock SET tick=?', [++tick]);
      }, 100);
      try {
        await isRefused(source, 'in-use', /Stop all servers/);
      } finally {
        clearInterval(raised);
      }
      const after = await sourceOf(PLAIN);
      await session.run('INSERT INTO StoreLock (id, tick) VALUES (?, ?)', ['active', 1]);
      assert.equal((await after.open()).channels.length, 7);
      await after.close();
    });

    it('with a row that is damaged are refused, or told without it', async () => {
      const damage = async (): Promise<void> => {
        await session.run(
          'UPDATE Messages SET data=? WHERE seq=? AND id = (SELECT id FROM Channels WHERE name = ?)',
          [Buffer.from([0xff, 0xff]), ...[5, 'orders']],
        );
      };
      const strict = await sourceOf(PLAIN);
      await damage();
      const [orders] = (await strict.open()).channels.filter(({ name }) => name === 'orders');
      assert.ok(orders !== undefined);
      await assert.rejects(messagesOf(strict, orders), /table Messages: message 5 of orders/);
      await strict.close();
      const lenient = await sourceOf(PLAIN, { isLenient: true });
      await damage();
      await lenient.open();
      const sequences = (await messagesOf(lenient, orders)).map(({ sequence }) => sequence);
      assert.deepEqual([sequences.length, sequences.includes(5)], [79, false]);
      assert.deepEqual(
        lenient.problems.map(({ isLoss, where }) => [isLoss, where.replace(/.*, /, '')]),
        [[true, 'table Messages']],
      );
      await lenient.close();
    });

    it('that are not there are named', async () => {
      await putTables(session, PLAIN);
      await session.run('DELETE FROM ServerInfo');
      const source = new SqlSource({ url: database.url, isLenient: false });
      await isRefused(source, 'not-found', /never ran/);
      const nowhere = new SqlSource({ url: database.url.replace(/stan$/, 'elsewhere'), isLenient: false });
      await isRefused(nowhere, 'connection', /^Cannot connect to .*elsewhere/);
    });
  });
}
