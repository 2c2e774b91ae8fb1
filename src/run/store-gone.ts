import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../files/fs-error.js';
import { StoreError } from '../files/store-error.js';
import { IDENTITY_FILE } from '../files/store-folder.js';
import { goneText } from '../lease/held.js';

/** The error of a store that has failed; one that says that the store is gone, if a file is missing because all of them are. */
export function orStoreGone(dir: string | undefined, error: Error): Error {
  if (dir === undefined || !isOfMissingFile(error) || existsSync(join(dir, IDENTITY_FILE))) return error;
  return new StoreError('lost', goneText(dir), error);
}

function isOfMissingFile(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (errorCode(cause) === 'ENOENT') return true;
  }
  return false;
}
