import { errorCode } from './fs-error.js';

/** The kind of a problem, for callers that react to it. The message is for people, and says what to do. */
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

/** Damage in a file, with its offset. Nothing was changed. */
export class DamageError extends StoreError {
  readonly path: string;
  /** Offset in bytes from the beginning of the file. */
  readonly offset: number;
  readonly what: string;

  constructor(path: string, offset: number, what: string) {
    super(
      'damaged',
      `${path} is damaged at byte ${offset}: ${what}. Nothing was changed. Restore the store's directory from a copy, ` +
        'or remove the damaged parts: "stanchion store repair --dry-run" shows what that would lose (docs/damage.md)',
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

/** Whether the device is full, the quota used up, or the file too large: this passes when someone makes room. */
export function isNoSpace(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && NO_SPACE.has(code);
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT';
}

/** Whether the device, or the server of the mount, cannot read what is stored there. */
export function isUnreadable(error: unknown): boolean {
  return errorCode(error) === 'EIO';
}

/** Whether another process has removed the file: before it was opened, or while it was open, as a network mount reports it. */
export function isGone(error: unknown): boolean {
  return isMissing(error) || errorCode(error) === 'ESTALE';
}

/** What the process or the machine has too little of for now. */
const SHORTAGES: Readonly<Record<string, string>> = {
  EMFILE: 'too many open files in this process: raise its limit (ulimit -n, LimitNOFILE)',
  ENFILE: 'too many open files on this machine: raise the limit of its kernel (fs.file-max)',
  ENOMEM: 'the machine has no memory left for the call',
  EAGAIN: 'the machine has no resources left for the call',
};
/** Calls that have either been done or changed nothing: after a write or sync it is unknown what reached the disk. */
const NO_EFFECT = new Set(['open', 'mkdir', 'opendir', 'scandir', 'stat', 'lstat', 'statfs', 'access']);

/**
 * Says what was short when a call could not begin, so that nothing was done, and the same call may succeed a moment later; undefined for
 * any other error.
 */
export function shortageOf(error: unknown): string | undefined {
  const { syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return syscall !== undefined && NO_EFFECT.has(syscall) ? SHORTAGES[errorCode(error) ?? ''] : undefined;
}
