import { once } from 'node:events';

/** Calls `onBroken` when the reader of standard output is gone, as `head` goes after its lines; by default that ends the process. */
export function endQuietlyOnBrokenPipe(onBroken: () => void = () => process.exit(0)): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') onBroken();
    else throw error;
  });
}

/** Writes to standard output, and waits while its reader is slow. Bytes for a reader that is gone are dropped. */
export async function writeOut(bytes: string | Uint8Array): Promise<void> {
  if (process.stdout.write(bytes)) return;
  await once(process.stdout, 'drain').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
