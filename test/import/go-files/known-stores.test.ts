import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { knownStore, putGoStore } from '../../data/go-stores/known-stores.js';
import { KINDS } from '../../data/go-stores/scenario.js';
import { compareState, messagesOf, sourceOf } from './compare.js';

describe('a store that a Go server has left', () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-files-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  for (const kind of KINDS) {
    const dir = join(root, kind.name);
    const known = knownStore(kind);

    it(`(${kind.name}) has the channels, clients, durables, positions and pending messages that its server said`, async () => {
      putGoStore(kind, dir);
      const source = sourceOf(dir, kind, known);
      const state = await source.open();
      compareState(state, known);
      // Version 0.3.8 made subjects of its own.
      if (kind.isOld) assert.match(state.subjects?.publish ?? '', /^_STAN\.pub\.\w{22}$/);
      else assert.equal(state.subjects, undefined);
      assert.deepEqual(source.problems, []);
    });

    it(`(${kind.name}) gives each message that its server gave to clients, and no other`, async () => {
      const source = sourceOf(dir, kind, known);
      const { channels } = await source.open();
      for (const channel of channels) {
        const messages = await messagesOf(source, channel);
        assert.deepEqual(messages, known.messages[channel.name] ?? [], channel.name);
      }
      assert.deepEqual(source.problems, []);
    });
  }
});
