import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createInbox } from 'nats';
import { decodePubAck } from '../../src/protocol/messages.js';
import { Broker } from '../harness/broker.js';
import { FileCalls } from '../harness/file-calls.js';
import { isOtherServer, Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

/** Every file under a folder with a hash of its contents. */
function snapshot(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files[name] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return files;
}

describe('The folder of a file store', { skip: isOtherServer }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('is opened by one broker: a second one says who holds it and ends with exit code 1', async () => {
    const settings = rig.settings();
    const holder = await rig.startBroker(settings);
    const { status, output } = await Broker.refused(settings);
    assert.equal(status.code, 1);
    assert.match(output, new RegExp(`\\b${holder.pid}\\b`), 'the process id of the holder');
    assert.ok(output.includes(settings.dir!), 'the folder');

    const client = await rig.connect(undefined, { broker: holder });
    await client.publish(rig.name('channel'), 'still here');
  });

  it('is free again at once when its holder was killed', async () => {
    const settings = rig.settings();
    const first = await rig.startBroker(settings);
    await first.kill('SIGKILL');
    const second = await rig.startBroker(settings);
    assert.ok(!second.hasExited);
  });

  it('gets nothing more from a broker that was paused while another took it: that one acknowledges nothing, and ends', async () => {
    const settings = rig.settings();
    const first = await rig.startBroker(settings);
    const client = await rig.raw(first);
    const clientId = rig.name('client');
    const channel = rig.name('channel');
    await client.join(clientId);
    const reader = await client.subscribe({ clientId, subject: channel });
    await client.publish({ clientId, subject: channel, data: Buffer.from('before') });
    await reader.got(1);

    first.signal('SIGSTOP');
    const second = await rig.startBroker(settings);
    const acks: string[] = [];
    const inbox = createInbox();
    client.nats.subscribe(inbox, { callback: (_error, { data }) => acks.push(decodePubAck(data).guid) });
    const guids = Array.from({ length: 20 }, (_, i) => `meanwhile-${i}`);
    for (const guid of guids)
      client.send({ clientId, guid, subject: channel, data: Buffer.from(guid) }, inbox);
    await waitFor(
      () => acks.length === guids.length,
      () => `the second broker acknowledges them: ${acks.join()}`,
    );

    // It has heard them too, and goes on with them.
    first.signal('SIGCONT');
    assert.equal((await first.exit).code, 1);
    assert.match(
      first.output,
      /The lease has been taken over by \S+ in epoch 2\. This broker no longer has the store in .*must stop/,
    );
    await client.publish({ clientId, subject: channel, data: Buffer.from('after') });
    assert.deepEqual(acks, guids);
    const told = (): string[] => [
      ...new Set(reader.messages.map(({ sequence, data }) => `${sequence} ${Buffer.from(data).toString()}`)),
    ];
    await waitFor(() => told().some((line) => line.endsWith(' after')), 'the last message');
    assert.deepEqual(
      told(),
      ['before', ...guids, 'after'].map((data, i) => `${i + 1} ${data}`),
    );
    assert.ok(!second.hasExited);
  });

  it('is not opened by two that start at the same time', async () => {
    const settings = rig.settings();
    // Of different clusters, so that they meet at the folder only. It belongs to nobody yet.
    const results = await Promise.allSettled([
      rig.startBroker(settings),
      rig.startBroker({ ...settings, clusterId: rig.name('cluster') }),
    ]);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('made for another cluster id is refused, with both ids', async () => {
    const settings = rig.settings();
    const first = await rig.startBroker(settings);
    await first.kill('SIGTERM');
    const before = snapshot(settings.dir!);
    const { status, output } = await Broker.refused({ ...settings, clusterId: 'another-one' });
    assert.equal(status.code, 1);
    assert.ok(output.includes('another-one') && output.includes(settings.clusterId), output);
    assert.deepEqual(snapshot(settings.dir!), before);
  });

  it('of a newer format is refused and left as it is', async () => {
    const settings = rig.settings();
    const first = await rig.startBroker(settings);
    const client = await rig.connect(undefined, { broker: first });
    await client.publish(rig.name('channel'), 'x');
    await first.kill('SIGTERM');
    const identity = join(settings.dir!, 'stanchion.json');
    const content = JSON.parse(readFileSync(identity, 'utf8')) as Record<string, unknown>;
    const key = Object.keys(content).find((name) => /version/i.test(name));
    assert.ok(key !== undefined, 'the identity has a format version');
    writeFileSync(identity, JSON.stringify({ ...content, [key]: Number(content[key]) + 1 }));
    const before = snapshot(settings.dir!);

    const { status, output } = await Broker.refused(settings);
    assert.equal(status.code, 1);
    assert.match(output, /version/);
    assert.deepEqual(snapshot(settings.dir!), before);
  });

  it('that is a file is refused with its path', async () => {
    const path = join(rig.folder(), 'a-file');
    writeFileSync(path, 'not a store');
    const { status, output } = await Broker.refused(rig.settings({ dir: path }));
    assert.equal(status.code, 1);
    assert.ok(output.includes(path), output);
    assert.equal(readFileSync(path, 'utf8'), 'not a store');
  });
});

describe('A cluster id', () => {
  const rig = new Rig({ store: 'memory' });

  it('is served by one broker: a second one on the same NATS ends with an error that names it', async () => {
    const { status, output } = await Broker.refused(rig.broker.settings);
    assert.equal(status.code, 1);
    assert.ok(output.includes(rig.broker.clusterId), output);
    const client = await rig.connect();
    await client.publish(rig.name('channel'), 'still here');
  });
});

describe('A full disk', { skip: isOtherServer || cannotMount() }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('gives publishers an error in their ack; reading goes on; publishing goes on when there is room', async () => {
    const mount = join(rig.folder(), 'small-disk');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mount]);
    try {
      const broker = await rig.startBroker({
        dir: join(mount, 'data'),
        flags: ['--max-msgs', '0', '--max-bytes', '0'],
      });
      const channel = rig.name('channel');
      const client = await rig.connect(undefined, { broker });
      const reserve = join(mount, 'reserve');
      writeFileSync(reserve, Buffer.alloc(24 * 1024 * 1024));

      const acked: string[] = [];
      let refusal: Error | undefined;
      for (let i = 0; i < 2000 && refusal === undefined; i++) {
        const data = `${i}:${'x'.repeat(60_000)}`;
        await client.publish(channel, data).then(
          () => acked.push(data),
          (error: Error) => {
            refusal = error;
          },
        );
      }
      assert.ok(refusal !== undefined, 'the disk gets full');
      assert.match(refusal.message, /space|full/i);
      assert.ok(!broker.hasExited);

      const reader = await client.subscribe(channel, { all: true, maxInFlight: 20 });
      await reader.got(acked.length);
      assert.deepEqual(
        reader.messages.map(({ data }) => data.length),
        acked.map(({ length }) => length),
      );

      writeFileSync(reserve, '');
      await waitFor(
        () =>
          client.publish(channel, 'room again').then(
            () => true,
            () => false,
          ),
        'publishing goes on',
      );
      await reader.gotOne(({ data }) => data === 'room again', 'the message after');
      await broker.restart();
      const all = await client.subscribe(channel, { all: true, maxInFlight: 20 });
      await all.gotOne(({ data }) => data === 'room again', 'the message after, once more');
      assert.deepEqual(
        all.messages.slice(0, acked.length).map(({ data }) => data.slice(0, 10)),
        acked.map((data) => data.slice(0, 10)),
      );
      await broker.destroy();
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });
});

describe('A quota that is used up', { skip: isOtherServer || process.platform !== 'linux' }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('gives publishers an error in their ack, and publishing goes on when it is raised', async (t) => {
    const dir = rig.folder();
    const calls = FileCalls.make(rig.folder(), dir);
    if (calls === undefined) return t.skip('needs a C compiler');
    const broker = await rig.startBroker({ dir, environment: calls.environment('broker') });
    const client = await rig.connect(undefined, { broker });
    const channel = rig.name('channel');
    await client.publish(channel, 'before');
    const raise = calls.strike('broker', `fail w ${constants.errno.EDQUOT}`);
    // What meets it first waits for room, and is acknowledged when there is some.
    const waiting = client.publish(channel, 'waits');
    await waitFor(() => broker.output.includes('disk quota used up'), 'the log says so');
    await assert.rejects(client.publish(channel, 'refused'), /store is full: disk quota used up/);
    raise();
    await waiting;
    await waitFor(
      () =>
        client.publish(channel, 'after').then(
          () => true,
          () => false,
        ),
      'publishing goes on',
    );
    const reader = await client.subscribe(channel, { all: true });
    await reader.got(3);
    assert.deepEqual(
      reader.messages.map(({ data }) => data),
      ['before', 'waits', 'after'],
    );
  });
});

/** Why a small disk cannot be had here, or false. */
function cannotMount(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a small disk needs Linux and root';
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'this machine does not allow mounts';
  }
}
