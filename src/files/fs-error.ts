import { constants } from 'node:os';

const { EDQUOT, ESTALE } = constants.errno;
const EUCLEAN = process.platform === 'linux' ? 117 : undefined;

/** Errors of shared and of damaged disks that Node has no name for: their `code` is "Unknown system error -122". */
const UNNAMED = new Map<number | undefined, readonly [code: string, text: string]>([
  [EDQUOT, ['EDQUOT', 'disk quota exceeded']],
  [ESTALE, ['ESTALE', 'stale file handle']],
  [EUCLEAN, ['EUCLEAN', 'structure needs cleaning']],
]);

/** The name of an error code: from Node, or from the kernel where Node has none. */
export function errorCode(error: unknown): string | undefined {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : UNNAMED.get(-errno)?.[0]) ?? code;
}

/** Adds to the error of a call the name and the path, which Node may have left out. It changes and returns the given error. */
export function fsError(error: NodeJS.ErrnoException, path: string): NodeJS.ErrnoException {
  const unnamed = error.errno === undefined ? undefined : UNNAMED.get(-error.errno);
  if (unnamed === undefined && error.path !== undefined) return error;
  error.path ??= path;
  if (unnamed === undefined) error.message += ` '${error.path}'`;
  else {
    const [code, text] = unnamed;
    error.code = code;
    error.message = `${code}: ${text}, ${error.syscall} '${error.path}'`;
  }
  return error;
}
