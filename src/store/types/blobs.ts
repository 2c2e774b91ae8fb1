import type { FileId } from '../../files/file-names.js';

/** An immutable thing with a name. */
export interface Blob {
  readonly id: FileId;
  /** What people find it under: for messages. */
  readonly path: string;
}

/** Reads from blobs. */
export interface BlobReader {
  /** Reads up to `buffer.length` bytes. @returns bytes read, fewer at the end of the blob only */
  read(blob: Blob, buffer: Buffer, position: number): Promise<number>;
}

/** A blob that is being written, front to back. Until `finish` has resolved, it is not there. */
export interface BlobWriter extends Blob {
  /** Room that was set aside for it, which it has to fill; undefined: it may have any size. */
  readonly fixedBytes: number | undefined;
  /** Adds bytes. The buffer may be used again when this resolves. */
  append(buffer: Buffer, start: number, end: number): Promise<void>;
  /** Makes it durable, under its name. */
  finish(): Promise<void>;
  /** Gives it up, and its room back. */
  abandon(): Promise<void>;
}

/** How large a blob will be, and whether it has to be. */
export interface BlobSize {
  /** So many bytes at least, as far as that is known. */
  bytes: number;
  /** Where there is no room for it, what was set aside may be used. */
  isUrgent: boolean;
}

/** Immutable things of one kind: put whole or not at all, read, listed, removed. Segments are such things, and checkpoints. */
export interface Blobs extends BlobReader {
  /**
   * Puts one of this term's: it is there, whole and durable, when this resolves, or not at all.
   *
   * @param write writes it. It is called again, with another writer, if there was no room for the first and some is set aside
   */
  put<T>(size: BlobSize, write: (writer: BlobWriter) => Promise<T>): Promise<T>;
  /** The same at once, for the rare case that an append needs what is only in a blob. */
  readNow(blob: Blob, buffer: Buffer, position: number): number;
  /**
   * The size of one in bytes, undefined if it is not there. Cheap if it has `least` bytes or more: only a smaller answer is checked twice.
   */
  size(blob: Blob, least: number): Promise<number | undefined>;
  /** The blobs of all terms, oldest first. */
  list(): Promise<Blob[]>;
  /** Removes one, also if it was removed already. */
  remove(blob: Blob): Promise<void>;
  /** Lets go of one that is open for reading: its owner is about to remove it. */
  forget(blob: Blob): void;
  /** Lets go of what is open for reading. */
  close(): void;
}
