import type { StoreFile } from '../../src/files/fs.js';

/** A file that passes all calls on, for mutants that do one of them in another way. */
export class PassedOnFile implements StoreFile {
  readonly #file: StoreFile;

  constructor(file: StoreFile) {
    this.#file = file;
  }

  write(...args: Parameters<StoreFile['write']>): void {
    this.#file.write(...args);
  }

  read(...args: Parameters<StoreFile['read']>): Promise<number> {
    return this.#file.read(...args);
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  truncate(bytes: number): Promise<void> {
    return this.#file.truncate(bytes);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
