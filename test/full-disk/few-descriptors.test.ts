import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';
import { get, urlOf } from '../http/http-rig.js';

const SPARE = 8;

function skip(): string | false {
  const { error } = spawnSync('prlimit', ['--version']);
  return error === undefined ? false : 'needs prlimit, of util-linux';
}

function descriptors({ pid }: Broker): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Connections that take what the process has left, and ask for nothing. */
async function takeAll(broker: Broker): Promise<Socket[]> {
  const limit = descriptors(broker) + SPARE;
  execFileSync('prlimit', ['--pid', String(broker.pid), `--nofile=${limit}`]);
  const { hostname, port } = new URL(urlOf(broker));
  const sockets = Array.from({ length: SPARE * 2 }, () =>
    connect(Number(port), hostname).on('error', () => {}),
  );
  for (const socket of sockets) socket.write('GET /livez HTTP/1.1\r\n');
  await waitFor(() => descriptors(broker) >= limit, 'no descriptor is left');
  return sockets;
}

describe('A lone broker that has no file descriptor left', { skip: skip() }, () => {
  const rig = new Rig({ store: 'file', broker: false, flags: ['--http-port', '-1'] });

  it('goes on: publishes are refused with that reason when it has no file for them, and taken again later', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect('publisher', { broker });
    await client.publish('orders', 'first');
    const sockets = await takeAll(broker);
    const body = 'x'.repeat(200_000);
    const publish = (): Promise<string> =>
      client.publish('orders', body).then(
        () => '',
        (error: Error) => error.message,
      );
    let refusal = '';
    await waitFor(
      async () => {
        refusal = await publish();
        return refusal !== '';
      },
      'a refusal',
      20_000,
    );
    assert.match(refusal, /too many open files in this process: raise its limit \(ulimit -n, LimitNOFILE\)/);
    assert.equal(broker.hasExited, false);
    for (const socket of sockets) socket.destroy();
    await waitFor(async () => (await publish()) === '', 'a publish is taken again');
    const { text } = await get(broker, '/metrics');
    assert.match(text, /^stanchion_store_shortages_total [1-9]/m);
    assert.match(broker.output, /EMFILE: too many open files.*is tried again/);
  });
});
