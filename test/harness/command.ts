/** Runs a program of the tests that is started by hand: its exit code is what `main` resolves to, and 2 with its usage if it throws. */
export function runCommand(main: () => Promise<number>, usage: string): void {
  main().then(
    (exitCode) => {
      process.exitCode = exitCode;
    },
    (error: Error) => {
      console.error(`${error.stack}\n${usage}`);
      process.exitCode = 2;
    },
  );
}

/** @throws Error if the text of the flag is not a whole number from 1 */
export function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${flag} must be a whole number from 1`);
  return value;
}
