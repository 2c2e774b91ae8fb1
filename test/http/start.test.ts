import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { RawClient } from '../harness/raw-client.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = 'starting';
/** What tests of old clients wait for, one or the other. */
const WAITED_FOR = [
  ...['/', '/varz', '/subsz', '/connz', '/streaming', '/streaming/serverz', '/streaming/channelsz'],
];

describe('A start, to who waits for 200 from the monitoring port and connects at once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stanchion-start-'));
  let child: Child | undefined;

  afterEach(async () => {
    await child?.end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });

  it('is over with the first 200 of any page: the connect request is answered', async () => {
    const [port, httpPort] = [await freePort(), await freePort()];
    const own = ['--addr', '127.0.0.1', '--port', String(port), '--http-port', String(httpPort)];
    const store = ['--store', 'file', '--dir', join(folder, 'store')];
    child = new Child(process.execPath, [
      ...(await mainScript()),
      ...['serve', '--cluster-id', CLUSTER_ID, '--log-format', 'json', ...own, ...store],
    ]);
    const before = await Promise.all(
      WAITED_FOR.map(async (path) => {
        const refusals = await refusalsBefore200(httpPort, path);
        const client = await RawClient.open(`nats://127.0.0.1:${port}`, CLUSTER_ID);
        try {
          const connected = client.connect({ clientId: path.replaceAll('/', '-') }).then(
            ({ error }) => error,
            (error: Error) => error.message,
          );
          assert.equal(await connected, '', `a client that waited for 200 of ${path}`);
        } finally {
          await client.drop();
        }
        return refusals;
      }),
    );
    assert.ok(before.flat().length > 0, `something was asked too early; the broker said:\n${child.output}`);
    for (const { status, retryAfter } of before.flat()) assert.deepEqual([status, retryAfter], [503, '1']);
  });
});

/** Asks as fast as it can, as stan.py does. @returns what came before the 200 */
async function refusalsBefore200(
  httpPort: number,
  path: string,
): Promise<{ status: number; retryAfter: string | null }[]> {
  const refusals: { status: number; retryAfter: string | null }[] = [];
  await waitFor(async () => {
    const answer = await fetch(`http://127.0.0.1:${httpPort}${path}`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer === undefined || answer.status === 200) return answer !== undefined;
    refusals.push({ status: answer.status, retryAfter: answer.headers.get('retry-after') });
    return false;
  }, `200 of ${path}`);
  return refusals;
}
