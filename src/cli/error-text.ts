/** The message of an error for people. An error of the file system also says what to do. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const advice = path === undefined ? undefined : ADVICE[code ?? ''];
  return advice === undefined ? error.message : `${error.message}. ${advice()}`;
}

const mayNot = (): string =>
  `The user that runs this${process.getuid === undefined ? '' : ` (uid ${process.getuid()})`} lacks the permission: run it as the owner, or change owner or mode`;

const ADVICE: Readonly<Record<string, (() => string) | undefined>> = {
  EACCES: mayNot,
  EPERM: mayNot,
  EROFS: () => 'That file system is mounted read-only',
  EIO: () =>
    'The device, or the server of the mount, fails: look at the log of the kernel (dmesg) and of the server',
  ESTALE: () =>
    'The server of the mount no longer knows that file: was its export replaced or restored? Mount it again',
  EUCLEAN: () => 'That file system is damaged: unmount it, and check it (fsck)',
  EDQUOT: () => 'The quota of the user, or of the folder, is used up: raise it, or make room',
  ENOSPC: () => 'The device has no room left: make room',
  ENOTDIR: () => 'A part of that path is a file, not a folder',
};
