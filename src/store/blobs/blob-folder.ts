import { removeIfThere } from '../../files/file-io.js';
import { type FileId, fileName, parseNames } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isMissing, isNoSpace } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import type { Reserve } from '../room/reserve.js';
import type { Blob, BlobSize, Blobs, BlobWriter } from '../types/blobs.js';
import { type BlobFile, BlobFileWriter, type BlobRoom } from './blob-file-writer.js';
import { OpenBlobs } from './open-blobs.js';

export interface BlobFolderOptions {
  fs: StoreFs;
  /** The store's. */
  dir: string;
  /** The epoch of this term, which writes and removes. */
  epoch: number;
  kind: 'seg' | 'ckpt';
  /** Open for reading at once. */
  maxOpen: number;
  /** For what there is no room for. */
  reserve: Reserve | undefined;
}

const FOLDERS = { seg: SEGMENT_DIRECTORY, ckpt: CHECKPOINT_DIRECTORY };

/** Blobs of one kind in files of one folder. */
export class BlobFolder implements Blobs {
  readonly #options: BlobFolderOptions;
  readonly #directory: string;
  readonly #open: OpenBlobs;
  /** The number of this term's newest blob. */
  #number = 0;

  constructor(options: BlobFolderOptions) {
    this.#options = options;
    this.#directory = `${options.dir}/${FOLDERS[options.kind]}`;
    this.#open = new OpenBlobs(options.fs, options.maxOpen);
  }

  async put<T>({ bytes, isUrgent }: BlobSize, write: (writer: BlobWriter) => Promise<T>): Promise<T> {
    const { kind, reserve } = this.#options;
    let result: T;
    try {
      result = await this.#write(undefined, write);
    } catch (error) {
      const room = isUrgent && isNoSpace(error) ? await reserve?.take(kind, bytes) : undefined;
      if (reserve === undefined || room === undefined) throw error;
      result = await this.#write({ reserve, kind, room }, write);
    }
    if (kind === 'ckpt') reserve?.wantCheckpoint(bytes);
    return result;
  }

  async #write<T>(room: BlobRoom | undefined, write: (writer: BlobWriter) => Promise<T>): Promise<T> {
    const writer = await BlobFileWriter.create(this.#options.fs, this.#next(), room);
    try {
      const result = await write(writer);
      await writer.finish();
      return result;
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  }

  read(blob: Blob, buffer: Buffer, position: number): Promise<number> {
    return this.#open.read(blob, buffer, position);
  }

  readNow(blob: Blob, buffer: Buffer, position: number): number {
    return this.#options.fs.readSync(blob.path, buffer, 0, buffer.length, position);
  }

  async size(blob: Blob, least: number): Promise<number | undefined> {
    const { fs } = this.#options;
    const status = await fs.status(blob.path);
    if (status !== undefined && status.bytes >= least) return status.bytes;
    // A mount may remember what was there before. It asks its server when a file is opened.
    try {
      const file = await fs.open(blob.path, 'read');
      return await file.size().finally(() => file.close());
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async list(): Promise<Blob[]> {
    const { fs, kind } = this.#options;
    return parseNames(await fs.list(this.#directory), kind).map((id) => ({ id, path: this.#pathOf(id) }));
  }

  /** Checkpoints of its own it sets aside if there are too few. One of an older term may still be written to, by a broker that does not know of its end. */
  async remove(blob: Blob): Promise<void> {
    const { fs, kind, epoch, reserve } = this.#options;
    this.#open.forget(blob);
    const isKept = kind === 'ckpt' && blob.id.epoch === epoch && (await reserve?.keep('ckpt', blob.path));
    if (!isKept) await removeIfThere(fs, blob.path);
  }

  forget(blob: Blob): void {
    this.#open.forget(blob);
  }

  close(): void {
    this.#open.close();
  }

  #next(): BlobFile {
    const id = { epoch: this.#options.epoch, number: ++this.#number };
    const path = this.#pathOf(id);
    const isFoundByName = this.#options.kind === 'ckpt';
    return { id, directory: this.#directory, path, temporary: isFoundByName ? `${path}.tmp` : path };
  }

  #pathOf(id: FileId): string {
    return `${this.#directory}/${fileName(id, this.#options.kind)}`;
  }
}
