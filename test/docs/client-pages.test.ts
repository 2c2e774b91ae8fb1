import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child } from '../harness/child.js';
import { Rig } from '../harness/rig.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES = join(ROOT, 'docs', 'client');
/** A program, and what it prints. */
const EXAMPLE = /```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g;

describe('the programs in docs/client', () => {
  const rig = new Rig({ store: 'file', broker: false });
  let folder: string;

  before(async () => {
    await rig.startBroker({ clusterId: 'test-cluster' });
    folder = mkdtempSync(join(tmpdir(), 'stanchion-docs-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(ROOT, join(folder, 'node_modules', 'stanchion'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const page of readdirSync(PAGES)) {
    const text = readFileSync(join(PAGES, page), 'utf8');
    const programs = [...text.matchAll(EXAMPLE)];

    it(`${page}: each has its output beside it`, () => {
      assert.equal(programs.length, text.split('```js').length - 1);
      assert.ok(programs.length > 0);
    });

    programs.forEach(([, program = '', output = ''], index) => {
      it(`${page}, program ${index + 1}: prints what stands below it`, async () => {
        const file = join(folder, `${page}-${index}.mjs`);
        const server = `servers: '${rig.nats.url}'`;
        const code = program.includes('servers:')
          ? program.replace(/servers: '[^']*'/, server)
          : program.replaceAll("clusterId: 'test-cluster',", `clusterId: 'test-cluster', ${server},`);
        writeFileSync(file, code);
        const child = new Child(process.execPath, [file]);
        assert.deepEqual(await child.exit, { code: 0, signal: null }, child.output);
        assert.match(child.output, new RegExp(`^${output.split('…').map(quoted).join('.+')}$`));
      });
    });
  }
});

function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
