import { removeIfThere, renameOwn, writeAll } from '../../files/file-io.js';
import type { FileId } from '../../files/file-names.js';
import type { StoreFile, StoreFs } from '../../files/fs.js';
import { type Reserve, type Room, takeRoom } from '../room/reserve.js';
import type { BlobWriter } from '../types/blobs.js';

/** Where a blob's file lies, and what it is called until it is whole. */
export interface BlobFile {
  id: FileId;
  directory: string;
  path: string;
  /** Its own name, where nothing that is only begun is ever taken for whole: nothing refers to it yet. */
  temporary: string;
}

/** Room that was set aside, and where it goes back to. */
export interface BlobRoom {
  reserve: Reserve;
  kind: 'seg' | 'ckpt';
  room: Room;
}

/** Writes one blob to a file: a new one, or over one that was set aside. */
export class BlobFileWriter implements BlobWriter {
  readonly id: FileId;
  readonly path: string;
  readonly #fs: StoreFs;
  readonly #place: BlobFile;
  readonly #file: StoreFile;
  readonly #room: BlobRoom | undefined;
  #position = 0;
  #isClosed = false;

  private constructor(fs: StoreFs, place: BlobFile, file: StoreFile, room: BlobRoom | undefined) {
    this.#fs = fs;
    this.#place = place;
    this.#file = file;
    this.#room = room;
    this.id = place.id;
    this.path = place.path;
  }

  static async create(fs: StoreFs, place: BlobFile, room?: BlobRoom): Promise<BlobFileWriter> {
    const { temporary, path } = place;
    if (room === undefined && temporary !== path) await removeIfThere(fs, temporary);
    try {
      if (room !== undefined) await takeRoom(fs, room.room, temporary);
      const file = await fs.open(temporary, room === undefined ? 'create' : 'write');
      return new BlobFileWriter(fs, place, file, room);
    } catch (error) {
      // The file may have been made although the call failed. Nothing refers to a segment of that name; room has to go back.
      if (room !== undefined || temporary !== path) await discard(fs, place, room);
      throw error;
    }
  }

  /** A checkpoint keeps the size of its room, so that there will be as much for the next one. A segment is cut. */
  get fixedBytes(): number | undefined {
    return this.#room?.kind === 'ckpt' ? this.#room.room.bytes : undefined;
  }

  async append(buffer: Buffer, start: number, end: number): Promise<void> {
    await writeAll(this.#file, buffer, start, end, this.#position);
    this.#position += end - start;
  }

  async finish(): Promise<void> {
    const { temporary, path, directory } = this.#place;
    if (this.#room?.kind === 'seg') await this.#file.truncate(this.#position);
    await this.#file.sync();
    this.#isClosed = true;
    await this.#file.close();
    if (temporary !== path) await renameOwn(this.#fs, temporary, path);
    await this.#fs.syncDirectory(directory);
  }

  async abandon(): Promise<void> {
    if (!this.#isClosed) await this.#file.close().catch(() => {});
    await discard(this.#fs, this.#place, this.#room);
  }
}

async function discard(fs: StoreFs, { temporary }: BlobFile, room: BlobRoom | undefined): Promise<void> {
  if (room !== undefined) await room.reserve.give(room.kind, temporary);
  // What is half written takes room that may be all there is.
  else await removeIfThere(fs, temporary).catch(() => {});
}
