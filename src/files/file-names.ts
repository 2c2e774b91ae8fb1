/** Identifies a file of the store: the epoch of the term that wrote it, and its number in that term, from 1. */
export interface FileId {
  epoch: number;
  number: number;
}

/** The kind of a file. */
export type Extension = 'log' | 'seg' | 'ckpt';

const NAME = /^(\d{8,10})\.(\d{6,10})\.(log|seg|ckpt)$/;

export function fileName(id: FileId, extension: Extension): string {
  return `${String(id.epoch).padStart(8, '0')}.${String(id.number).padStart(6, '0')}.${extension}`;
}

export function journalName(id: FileId): string {
  return fileName(id, 'log');
}

export function segmentName(id: FileId): string {
  return fileName(id, 'seg');
}

export function checkpointName(id: FileId): string {
  return fileName(id, 'ckpt');
}

/** The files with this extension, oldest first. Other names are ignored. */
export function parseNames(names: readonly string[], extension: Extension): FileId[] {
  const ids: FileId[] = [];
  for (const candidate of names) {
    const match = NAME.exec(candidate);
    if (match?.[3] === extension) ids.push({ epoch: Number(match[1]), number: Number(match[2]) });
  }
  return ids.sort(compareIds);
}

export function compareIds(a: FileId, b: FileId): number {
  return a.epoch - b.epoch || a.number - b.number;
}

export function sameId(a: FileId, b: FileId): boolean {
  return a.epoch === b.epoch && a.number === b.number;
}
