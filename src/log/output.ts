import { closeSync, openSync, writeSync } from 'node:fs';

/** Receives whole lines. */
export interface LogOutput {
  write(line: string): void;
}

/**
 * Writes to a file descriptor, and waits until each line is written, so that nothing is lost when the process ends. If the reader is
 * gone (EPIPE) or the disk is full, only log lines are lost.
 */
export function descriptorOutput(fd: number): LogOutput {
  return {
    write(line) {
      let rest = Buffer.from(line);
      while (rest.length > 0) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (error) {
          // A non-blocking pipe is full, since its reader is slow: wait for it.
          if (isCode(error, 'EAGAIN')) sleepMs(FULL_PIPE_WAIT_MS);
          else return;
        }
      }
    },
  };
}

/** A log in a file. */
export interface LogFile extends LogOutput {
  /**
   * Opens the file at the path again, after rotation has renamed the old one.
   *
   * @throws the system's error if it cannot be opened; then the old file stays in use
   */
  reopen(): void;
  close(): void;
}

/**
 * Appends to a file.
 *
 * @throws the system's error if it cannot be opened
 */
export function fileOutput(path: string): LogFile {
  let fd = openSync(path, 'a');
  let output = descriptorOutput(fd);
  return {
    write: (line) => output.write(line),
    reopen() {
      const before = fd;
      fd = openSync(path, 'a');
      output = descriptorOutput(fd);
      closeSync(before);
    },
    close: () => closeSync(fd),
  };
}

const FULL_PIPE_WAIT_MS = 1;
const sleeping = new Int32Array(new SharedArrayBuffer(4));

function sleepMs(milliseconds: number): void {
  Atomics.wait(sleeping, 0, 0, milliseconds);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
