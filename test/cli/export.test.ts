import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { mainScript } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  code: number | null;
  output: string;
}

async function stanchion(...args: string[]): Promise<Ended> {
  const child = new Child(process.execPath, [...(await mainScript()), ...args]);
  const { code } = await child.exit;
  return { code, output: child.output };
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('stanchion export', () => {
  const rig = new Rig({ store: 'file' });

  it('writes everything of a store, while its broker runs: channels, positions and messages, and an end', async () => {
    const { broker } = rig;
    const dir = broker.settings.dir ?? '';
    const client = await rig.connect('billing');
    for (const text of ['one', 'two', 'ü\0']) await client.publish('orders', text);
    await client.publish('images', Buffer.from([0xff, 0]).toString('latin1'));
    const subscription = await client.subscribe('orders', {
      durableName: 'ledger',
      all: true,
      manualAcks: true,
    });
    await waitFor(() => subscription.messages.length === 3, 'all have come');
    const file = join(rig.folder(), 'store.jsonl.gz');
    const { code, output } = await stanchion('export', '--dir', dir, '--to', file);
    assert.equal(code, 0, output);
    assert.match(output, /^Exported \S+ to \S+: 4 messages, 2 channels, 1 client, 1 subscription; /);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const [header, ...rest] = linesOf(gunzipSync(readFileSync(file)).toString());
    assert.deepEqual(
      [header.stanchion, header.format, header.clusterId, header.messages],
      ['export', 1, broker.clusterId, 4],
    );
    assert.deepEqual(rest.at(-1), { end: { clients: 1, channels: 2, subscriptions: 1, messages: 4 } });
    const found = rest.find((line) => 'subscription' in line).subscription;
    assert.deepEqual(
      [found.channel, found.clientId, found.durableName, found.lastSent, found.pending],
      ['orders', 'billing', 'ledger', 3, [1, 2, 3]],
    );
    assert.equal(rest.find((line) => 'client' in line).client.clientId, 'billing');
    const messages = rest.filter((line) => line.subject === 'orders');
    assert.deepEqual(
      messages.map((line) => [line.sequence, line.data]),
      [
        [1, 'one'],
        [2, 'two'],
        [3, 'ü\0'],
      ],
    );

    const printed = await stanchion(
      'sub',
      '-s',
      rig.nats.url,
      '-c',
      broker.clusterId,
      'orders',
      '--start',
      'all',
      '--count',
      '1',
      '-o',
      'json',
    );
    const { redelivered: _, redeliveryCount: __, ...asPrinted } = JSON.parse(printed.output);
    assert.deepEqual(messages[0], asPrinted, 'a message has the fields of sub -o json');
  });

  it('says what is missing, and what it cannot do, before it writes anything', async () => {
    const file = join(rig.folder(), 'store.jsonl');
    const nowhere = await stanchion('export', '--dir', '/nowhere/at/all', '--to', file);
    assert.deepEqual([nowhere.code, existsSync(file)], [1, false]);
    assert.match(nowhere.output, /There is no store in \/nowhere\/at\/all/);
    assert.match((await stanchion('export', '--dir', ROOT)).output, /--to FILE is missing/);
    assert.equal((await stanchion('export', '--to', file)).code, 2);
    if (Number(process.versions.node.split('.')[0]) < 22)
      assert.match(
        (await stanchion('export', '--dir', ROOT, '--to', 'x.zst')).output,
        /zstd needs Node 22\.15/,
      );
  });

  it('leaves no file if it is interrupted, and ends with an error if the reader of its output goes', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect(undefined, { broker });
    // More than a pipe holds.
    await client.publishMany('orders', 40, 'x'.repeat(100_000));
    const run = async (to: string): Promise<ChildProcess> => {
      const args = [...(await mainScript()), 'export', '--dir', broker.settings.dir ?? '', '--to', to];
      return spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    };
    const full = await run('-');
    let said = '';
    full.stderr?.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    await once(full.stdout ?? full, 'readable');
    full.kill('SIGINT');
    const [code] = await once(full, 'exit');
    assert.deepEqual([code, said], [130, 'interrupted: what was written is not whole\n']);

    const left = await run('-');
    left.stdout?.once('readable', () => left.stdout?.destroy());
    assert.deepEqual((await once(left, 'exit'))[0], 1);

    if (!existsSync('/dev/full')) return;
    const onFullDisk = await stanchion('export', '--dir', broker.settings.dir ?? '', '--to', '/dev/full');
    assert.equal(onFullDisk.code, 1);
    assert.match(onFullDisk.output, /^stanchion: ENOSPC: no space left on device, write$/m);
  });
});
