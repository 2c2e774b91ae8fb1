// One case of the fuzz test: a store of a Go server, damaged in one file, and what becomes of its import.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceProblem, SourceState } from '../../../src/import/types/source.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { knownStore, putGoStore } from '../../data/go-stores/known-stores.js';
import { KINDS, type Kind, type KnownMessage, type KnownStore } from '../../data/go-stores/scenario.js';
import { messagesOf, sourceOf } from './compare.js';

/** A random draw: 0 to below `bound`. */
export type Draw = (bound: number) => number;

/** The same draws for the same seed (mulberry32). */
export function drawsOf(seed: number): Draw {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

interface Damage {
  readonly name: string;
  /** Whether it can look like a file that was written so: cut between two records, or padded. */
  readonly canBeUnseen: boolean;
  readonly apply: (bytes: Buffer, draw: Draw) => Buffer;
}

const DAMAGES: readonly Damage[] = [
  { name: 'a bit is flipped', canBeUnseen: false, apply: (bytes, draw) => flipped(bytes, draw, 1) },
  {
    name: 'bits are flipped',
    canBeUnseen: false,
    apply: (bytes, draw) => flipped(bytes, draw, 1 + draw(20)),
  },
  {
    name: 'the end is cut off',
    canBeUnseen: true,
    apply: (bytes, draw) => bytes.subarray(0, draw(bytes.length)),
  },
  { name: 'a part is zeros', canBeUnseen: true, apply: zeroed },
  { name: 'a part is missing', canBeUnseen: true, apply: shortened },
  { name: 'a part is there twice', canBeUnseen: true, apply: doubled },
  {
    name: 'garbage follows',
    canBeUnseen: false,
    apply: (bytes, draw) => Buffer.concat([bytes, garbage(draw)]),
  },
];

function flipped(bytes: Buffer, draw: Draw, count: number): Buffer {
  for (let i = 0; i < count; i++) {
    const at = draw(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8));
  }
  return bytes;
}

function zeroed(bytes: Buffer, draw: Draw): Buffer {
  const start = draw(bytes.length);
  return bytes.fill(0, start, Math.min(bytes.length, start + 1 + draw(200)));
}

function shortened(bytes: Buffer, draw: Draw): Buffer {
  const start = draw(bytes.length);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 1 + draw(200))]);
}

function doubled(bytes: Buffer, draw: Draw): Buffer {
  const start = draw(bytes.length);
  const end = Math.min(bytes.length, start + 1 + draw(400));
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
}

function garbage(draw: Draw): Buffer {
  return Buffer.from(Array.from({ length: 1 + draw(60) }, () => draw(256)));
}

/** A store in a folder, whole. */
export interface WholeStore {
  readonly kind: Kind;
  readonly known: KnownStore;
  readonly dir: string;
  /** Its files, from the folder. */
  readonly files: readonly string[];
  readonly state: string;
}

/** Puts the kept stores into a folder. */
export async function wholeStores(root: string): Promise<WholeStore[]> {
  const stores: WholeStore[] = [];
  for (const kind of KINDS) {
    const dir = join(root, kind.name);
    putGoStore(kind, dir);
    const known = knownStore(kind);
    const state = stateText(await sourceOf(dir, kind, known).open());
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(dir, name)).isFile(),
    );
    stores.push({ kind, known, dir, files: files.sort(), state });
  }
  return stores;
}

/** What became of a case. */
export type Outcome = 'refused' | 'as before' | 'told loss' | 'unseen';

/**
 * Damages one file, imports the store, and puts the file back.
 *
 * @throws Error if a message is wrong, something is lost without a word, or the import fails by anything but a SourceError
 */
export async function judge(store: WholeStore, seed: number): Promise<Outcome> {
  const draw = drawsOf(seed);
  const file = join(store.dir, store.files[draw(store.files.length)] ?? '');
  const damage = DAMAGES[draw(DAMAGES.length)];
  const isLenient = draw(2) === 0;
  if (damage === undefined || statSync(file).size === 0) return 'as before';
  const whole = readFileSync(file);
  const what = `seed ${seed}, ${store.kind.name}: ${file}, ${damage.name}, ${isLenient ? 'lenient' : 'strict'}`;
  writeFileSync(file, damage.apply(Buffer.from(whole), draw));
  try {
    return await judgeImport(store, { file, damage, isLenient });
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  } finally {
    writeFileSync(file, whole);
  }
}

async function judgeImport(
  { kind, known, dir, state }: WholeStore,
  { file, damage, isLenient }: { file: string; damage: Damage; isLenient: boolean },
): Promise<Outcome> {
  const serverSeen = () => Promise.resolve(undefined);
  const source = sourceOf(dir, kind, known, { isLenient, serverSeen });
  let opened: SourceState;
  const messages: Record<string, KnownMessage[]> = {};
  try {
    opened = await source.open();
    for (const channel of opened.channels) messages[channel.name] = await messagesOf(source, channel);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    if (isLenient && error.code === 'damaged') throw new Error(`a lenient import ends: ${error.message}`);
    return 'refused';
  }
  const missing = Object.entries(known.messages).reduce(
    (sum, [name, all]) => sum + missingOf(name, all, messages[name] ?? []),
    0,
  );
  const isSame = missing === 0 && stateText(opened) === state;
  if (isSame) return 'as before';
  if (isToldLoss(source.problems)) {
    if (!isLenient) throw new Error('a strict import loses something');
    return 'told loss';
  }
  const isNoted = source.problems.length > 0;
  const isOfMessages = /msgs\.\d+\.(dat|idx)$/.test(file);
  if (missing === 0 && (isNoted || (damage.canBeUnseen && !isOfMessages))) return 'unseen';
  throw new Error(
    `${missing} messages are missing, or the state differs, without a word: ${stateText(opened)}`,
  );
}

function isToldLoss(problems: readonly SourceProblem[]): boolean {
  return problems.some(({ isLoss }) => isLoss);
}

/** @throws Error if a message differs, is one too many, or comes out of order */
function missingOf(channel: string, known: readonly KnownMessage[], read: readonly KnownMessage[]): number {
  const bySequence = new Map(known.map((message) => [message.sequence, message]));
  const oldest = known[0]?.sequence ?? 0;
  let last = 0;
  let found = 0;
  for (const { sequence, sha1, timestampMs } of read) {
    const right = bySequence.get(sequence);
    // Where messages are lost, a limit hides fewer of the oldest ones.
    if (right === undefined && sequence < oldest) continue;
    if (right?.sha1 !== sha1 || right.timestampMs !== timestampMs)
      throw new Error(`message ${sequence} of ${channel} is wrong`);
    if (sequence <= last) throw new Error(`message ${sequence} of ${channel} comes behind ${last}`);
    last = sequence;
    found++;
  }
  return known.length - found;
}

function stateText(state: SourceState): string {
  return JSON.stringify(state, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
}
