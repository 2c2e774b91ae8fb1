import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Rig } from '../harness/rig.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

function stanchion(...args: string[]): Result {
  return stanchionIn({}, ...args);
}

function stanchionIn(env: Record<string, string>, ...args: string[]): Result {
  const main = join(root, 'src', 'cli', 'main.ts');
  return spawnSync(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

describe('stanchion store', () => {
  const rig = new Rig({ store: 'file' });

  it('info shows channels, bounds and the holder while the broker runs, and changes nothing', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect(undefined, { broker });
    await client.publishMany('orders', 7);
    const dir = broker.settings.dir!;
    const { status, stdout } = stanchion('store', 'info', '--dir', dir);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`cluster "${broker.clusterId}"`));
    assert.match(stdout, new RegExp(`Held by node .* pid ${broker.pid}\\)`));
    assert.match(stdout, /^orders +1 +7 +7 /m);
    const json = JSON.parse(stanchion('store', 'info', '--dir', dir, '--json').stdout);
    assert.equal(json.channels[0].lastSequence, 7);
    assert.deepEqual([json.lease.epoch, json.reign], [1, json.lease]);
    await client.publishMany('orders', 1);
  });

  it('info shows each name in a line, and none moves the cursor of the terminal', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect(undefined, { broker });
    await client.publish('a\x1b[2J\x07b', '1');
    await client.publish('orders', '1');
    const { stdout } = stanchion('store', 'info', '--dir', broker.settings.dir!);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f]/);
    assert.match(stdout, /^a\\u001b\[2J\\u0007b +1 +1 +1 /m);
  });

  it('verify checks what is there; of damage it names file and byte, with exit code 1', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect(undefined, { broker });
    for (let i = 0; i < 10; i++) await client.publish('orders', `message ${i}`);
    const dir = broker.settings.dir!;
    await broker.kill('SIGKILL');
    const well = stanchion('store', 'verify', '--dir', dir);
    assert.equal(well.status, 0, well.stdout);
    assert.match(well.stdout, /All is well/);

    const journal = join(dir, 'journal', readdirSync(join(dir, 'journal')).sort()[0]!);
    const bytes = readFileSync(journal);
    const at = bytes.indexOf('message 4');
    bytes[at]! ^= 1;
    writeFileSync(journal, bytes);
    const bad = stanchion('store', 'verify', '--dir', dir);
    assert.equal(bad.status, 1);
    const [, offset] = /DAMAGED: .*\/journal\/\S+, byte (\d+):/.exec(bad.stdout) ?? [];
    assert.ok(Number(offset) > 0 && Number(offset) <= at && at - Number(offset) < 200, bad.stdout);
    assert.ok(readFileSync(journal).equals(bytes), 'nothing was changed');
  });

  it('refuses what is no store, and asks for what is missing', () => {
    const nothing = stanchion('store', 'info', '--dir', rig.folder());
    assert.equal(nothing.status, 1);
    assert.match(nothing.stderr, /no store|not a .*store/i);
    const noDir = stanchion('store', 'verify');
    assert.equal(noDir.status, 2);
    assert.match(noDir.stderr, /--dir FOLDER is missing/);
    const positional = stanchion('store', 'verify', 'data');
    assert.deepEqual([positional.status, /unexpected argument "data"/.test(positional.stderr)], [2, true]);
  });

  it('takes its flags from the environment, and from the file of a broker', () => {
    const dir = rig.folder();
    const fromEnvironment = stanchionIn({ STANCHION_DIR: dir }, 'store', 'info');
    assert.deepEqual([fromEnvironment.status, fromEnvironment.stderr.includes(dir)], [1, true]);
    const file = join(rig.folder(), 'stanchion.yaml');
    writeFileSync(file, `store: file\ndatastore: ${dir}\nmax-age: 1h\n`);
    const fromFile = stanchion('store', 'info', '--config', file);
    assert.deepEqual([fromFile.status, fromFile.stderr.includes(dir)], [1, true]);
  });
});
