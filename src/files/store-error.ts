import { errorCode } from './fs-error.js';

/** What kind of problem, for callers that act on it. The message is for people and says what to do. */
export type StoreErrorCode =
  | 'damaged'
  | 'foreign'
  | 'wrong-cluster'
  | 'newer-version'
  | 'held'
  | 'lost'
  | 'unsupported'
  | 'no-space'
  | 'closed';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Damage is told with file and offset, and nothing is changed. */
export class DamageError extends StoreError {
  readonly path: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly what: string;

  constructor(path: string, offset: number, what: string) {
    super(
      'damaged',
      `${path} is damaged at byte ${offset}: ${what}. Nothing was changed. Restore the store's directory from a copy, ` +
        'or take out what is damaged: "stanchion store repair --dry-run" tells what that costs (docs/damage.md)',
    );
    this.path = path;
    this.offset = offset;
    this.what = what;
  }
}

export function damaged(path: string, offset: number, what: string): DamageError {
  return new DamageError(path, offset, what);
}

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** No room on the device, quota used up, or file too large: passes when someone makes room. */
export function isNoSpace(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && NO_SPACE.has(code);
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT';
}

/** The device, or the server of the mount, does not give what is stored there. */
export function isUnreadable(error: unknown): boolean {
  return errorCode(error) === 'EIO';
}

/** Somebody else has removed the file: before it was opened, or, as a network mount says it, while it was open. */
export function isGone(error: unknown): boolean {
  return isMissing(error) || errorCode(error) === 'ESTALE';
}
