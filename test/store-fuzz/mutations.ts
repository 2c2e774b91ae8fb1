import type { History } from './histories.js';
import { type Picture, type StoredFile, sameFile, storedFile } from './picture.js';

/** Damage to a store, and what it is called. */
export interface Mutation {
  readonly name: string;
  /** The same for all files of a folder, and all offsets. */
  readonly kind: string;
  /** Files that are not as they were. */
  readonly touched: readonly string[];
  apply(): Picture;
}

const BLOCK = 4096;
/** A whole checkpoint, and pieces of a journal or segment. */
const FLIPS = 9;
const FLIPPED_HEADER_BYTES = [3, 9, 13, 17, 30, 61] as const;
/** In the first batch of a journal, the first record of a segment, the first fields of a checkpoint. */
const FLIPPED_FIRST_BYTES = [66, 70, 75, 82, 92, 97, 101, 110] as const;
const MAX_OLDER = 3;

/** The files under the names that mutations have: the lease's is always the same. */
export function labelOf(file: string): string {
  return file.replace(/^(lease|reign)\/.*/, '$1/*').replace(/^stanchion\..*\.key$/, 'stanchion.*.key');
}

/**
 * All damage that is done to a history's store, one after the other.
 *
 * What no other file shows is not in it: that the lease and the files of the newest term are gone or older together. The lease says which batch
 * was durable last, and only it does. So a copy of a whole store as it was earlier is a store, with all that was acknowledged up to then.
 */
export function mutationsOf(history: History): Mutation[] {
  const { picture } = history;
  const all: Mutation[] = [];
  const change = (name: string, changes: readonly (readonly [string, StoredFile | undefined])[]): void => {
    const isChange = changes.some(([file, to]) => {
      const from = picture.files.get(file);
      return from === undefined || to === undefined ? from !== to : !sameFile(from, to);
    });
    if (!isChange) return;
    const touched = changes.map(([file]) => file);
    all.push({ name, kind: kindOf(name), touched, apply: () => picture.with(changes) });
  };
  const files = [...picture.files].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [file, stored] of files) {
    const label = labelOf(file);
    change(`${label} removed`, [[file, undefined]]);
    for (const [what, to] of ofOneFile(stored)) change(`${label} ${what}`, [[file, to]]);
  }
  older(history, change);
  const telling = files.map(([file]) => file).filter((file) => !isNeedless(file));
  for (const [i, a] of telling.entries())
    for (const b of telling.slice(i + 1)) {
      change(`${labelOf(a)} and ${labelOf(b)} removed`, [
        [a, undefined],
        [b, undefined],
      ]);
      if (a.split('/')[0] === b.split('/')[0])
        change(`${labelOf(a)} and ${labelOf(b)} swapped`, [
          [a, picture.files.get(b)],
          [b, picture.files.get(a)],
        ]);
    }
  const folders = [...picture.folders].filter((name) => !name.includes('/')).sort();
  const inside = (folder: string): string[] =>
    [...picture.files.keys()].filter((file) => file.startsWith(`${folder}/`));
  const without = (name: string, gone: readonly string[]): void => {
    const apply = (): Picture => gone.reduce((left, folder) => left.without(folder), picture);
    all.push({ name, kind: name, touched: gone.flatMap(inside), apply });
  };
  for (const folder of folders) {
    without(`folder ${folder} removed`, [folder]);
    change(
      `folder ${folder} emptied`,
      inside(folder).map((file) => [file, undefined]),
    );
  }
  const tellingFolders = folders.filter((folder) => !isNeedless(`${folder}/`));
  for (const [i, a] of tellingFolders.entries())
    for (const b of tellingFolders.slice(i + 1)) without(`folders ${a} and ${b} removed`, [a, b]);
  without('all folders removed', folders);
  without(
    'all folders but the lease removed',
    folders.filter((folder) => folder !== 'lease'),
  );
  change(
    'all files but the lease removed',
    files.filter(([file]) => !file.startsWith('lease/')).map(([file]) => [file, undefined]),
  );
  const epochs = new Set(files.map(([file]) => epochOf(file)).filter((epoch) => epoch !== undefined));
  for (const epoch of epochs) {
    const its = files.map(([file]) => file).filter((file) => epochOf(file) === epoch);
    const gone = its.map((file) => [file, undefined] as const);
    change(`epoch ${epoch} removed`, gone);
    const journals = gone.filter(([file]) => file.startsWith('journal/'));
    if (journals.length > 1 && journals.length < gone.length)
      change(`journals of epoch ${epoch} removed`, journals);
  }
  return all;
}

/** What may go without harm: room that is set aside, and the locks of candidates. */
export function isNeedless(file: string): boolean {
  return /^(reserve|lease\.locks|damaged)\//.test(file);
}

function kindOf(name: string): string {
  return name.replace(/\/[^ ]*/g, '').replace(/ (at|epoch|as it was) \d+/g, ' $1');
}

function epochOf(file: string): number | undefined {
  const match = /^(?:journal|segments|checkpoints)\/(\d+)\./.exec(file);
  return match === null ? undefined : Number(match[1]);
}

function* ofOneFile({ bytes, size }: StoredFile): Generator<readonly [string, StoredFile]> {
  if (size === 0) return;
  const used = bytes.length;
  const cut = (at: number): StoredFile => storedFile(bytes.subarray(0, at), at);
  const lengths = new Set([64, BLOCK, Math.floor(used / 2), used - 1, used, size - BLOCK, size - 1]);
  yield ['emptied', cut(0)];
  for (const at of lengths) if (at > 0 && at < size) yield [`cut at ${at}`, cut(at)];
  const zeroed = (from: number, to: number): StoredFile => {
    const copy = Buffer.from(bytes);
    copy.fill(0, Math.max(0, from), Math.max(0, Math.min(to, used)));
    return storedFile(copy, size);
  };
  yield ['all zeroed', zeroed(0, used)];
  yield ['its first block zeroed', zeroed(0, BLOCK)];
  yield ['its last block zeroed', zeroed(size - BLOCK, size)];
  const lastUsed = used - (used % BLOCK);
  if (lastUsed > 0) yield ['its last used block zeroed', zeroed(lastUsed, used)];
  yield ['its last byte zeroed', zeroed(used - 1, used)];
  yield [
    'bytes behind its end',
    { bytes: Buffer.concat([bytes, Buffer.from('more')]), size: Math.max(size, used + 4) },
  ];
  const flips = new Set<number>([...FLIPPED_HEADER_BYTES, ...FLIPPED_FIRST_BYTES].filter((at) => at < used));
  for (let i = 1; i <= FLIPS; i++) if (used > 0) flips.add(Math.floor((used - 1) * (i / FLIPS)));
  for (const at of flips) {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << (at % 8)), at);
    yield [`bit flipped at ${at}`, storedFile(copy, size)];
  }
}

type Change = (name: string, changes: readonly (readonly [string, StoredFile | undefined])[]) => void;

/** Files that are as they were at an earlier moment. For the lease that is another name. */
function older({ picture, older: moments }: History, change: Change): void {
  for (const [file, now] of picture.files) {
    const seen: StoredFile[] = [now];
    for (const moment of moments.toReversed()) {
      const then = moment.files.get(file);
      if (then === undefined || seen.length > MAX_OLDER || seen.some((other) => sameFile(other, then)))
        continue;
      seen.push(then);
      change(`${file} as it was ${seen.length - 1} changes before`, [[file, then]]);
    }
  }
  const lease = (from: Picture): string[] =>
    [...from.files.keys()].filter((file) => file.startsWith('lease/'));
  const names = new Set(lease(picture));
  let count = 0;
  for (const moment of moments.toReversed()) {
    const then = lease(moment);
    if (then.length === 0 || then.some((name) => names.has(name))) continue;
    for (const name of then) names.add(name);
    // A restored backup, beside the lease as it is.
    if (epochOfLease(then) < epochOfLease(lease(picture))) {
      const others = new Set([...picture.files.keys(), ...moment.files.keys()]);
      change(
        `all but the lease as it was ${count + 1} changes before`,
        [...others]
          .filter((file) => !file.startsWith('lease/'))
          .map((file) => [file, moment.files.get(file)] as const),
      );
    }
    change(`lease as it was ${++count} changes before`, [
      ...lease(picture).map((file) => [file, undefined] as const),
      ...then.map((file) => [file, moment.files.get(file)] as const),
    ]);
    if (count === MAX_OLDER) break;
  }
}

function epochOfLease(names: readonly string[]): number {
  return Math.max(0, ...names.map((name) => Number(/^lease\/v\d+\.(\d+)\./.exec(name)?.[1] ?? 0)));
}
