import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import * as nodeModule from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileCacheFolder, isSafeFolder } from '../../src/cli/compile-cache.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('compiled code', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-compiled-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("lies in the user's own cache folder", () => {
    const home = () => '/home/u';
    assert.equal(compileCacheFolder({ XDG_CACHE_HOME: '/caches' }, home), '/caches/stanchion');
    assert.equal(compileCacheFolder({}, home), '/home/u/.cache/stanchion');
    assert.equal(compileCacheFolder({ XDG_CACHE_HOME: 'relative' }, home), '/home/u/.cache/stanchion');
  });

  it('is not kept for a user without a folder', () => {
    const home = () => {
      throw new Error('no such user');
    };
    assert.equal(compileCacheFolder({}, home), undefined);
  });

  it('is not kept where another user could put code', { skip: process.geteuid === undefined }, () => {
    const uid = process.geteuid?.();
    const safe = join(folder, 'safe', 'stanchion');
    assert.equal(isSafeFolder(safe, uid), true);
    assert.equal(isSafeFolder(safe, uid), true);
    assert.equal(statSync(safe).mode & 0o777, 0o700);
    assert.equal(isSafeFolder(safe, Number(uid) + 1), false);
    const open = join(folder, 'open', 'stanchion');
    mkdirSync(open, { recursive: true });
    chmodSync(open, 0o775);
    assert.equal(isSafeFolder(open, uid), false);
    assert.equal(isSafeFolder('/proc/nowhere/stanchion', uid), false);
    const loop = join(folder, 'loop');
    symlinkSync(loop, loop);
    assert.equal(isSafeFolder(join(loop, 'stanchion'), uid), false);
  });

  it('is kept by each Node that can do that', () => {
    const env = { ...process.env, XDG_CACHE_HOME: folder };
    execFileSync(process.execPath, [MAIN, '--version'], { env });
    const kept = join(folder, 'stanchion');
    const isKept = existsSync(kept) && readdirSync(kept).length > 0;
    assert.equal(isKept, 'enableCompileCache' in nodeModule);
  });

  it('is not needed: a folder that cannot be written is no error', () => {
    const env = { ...process.env, XDG_CACHE_HOME: '/proc/nowhere' };
    assert.match(
      execFileSync(process.execPath, [MAIN, '--version'], { env, encoding: 'utf8' }),
      /^\d+\.\d+\.\d+\n$/,
    );
  });
});
