/** What an error says to people: of the file system's own, what to do too. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const advice = path === undefined ? undefined : ADVICE[code ?? ''];
  return advice === undefined ? error.message : `${error.message}. ${advice()}`;
}

const mayNot = (): string =>
  `The user that runs this${process.getuid === undefined ? '' : ` (uid ${process.getuid()})`} may not do that: run it as the owner, or change owner or mode`;

const ADVICE: Readonly<Record<string, (() => string) | undefined>> = {
  EACCES: mayNot,
  EPERM: mayNot,
  EROFS: () => 'That file system is mounted read-only',
  ENOTDIR: () => 'A part of that path is a file, and no folder',
};
