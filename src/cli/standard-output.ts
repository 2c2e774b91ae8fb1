import { once } from 'node:events';

/** Whoever reads standard output has gone, as `head` does: there is nothing left to do for it. */
export function endQuietlyOnBrokenPipe(onBroken: () => void = () => process.exit(0)): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') onBroken();
    else throw error;
  });
}

/** Writes, and waits while the other side does not read. What nobody reads any more is dropped. */
export async function writeOut(bytes: string | Uint8Array): Promise<void> {
  if (process.stdout.write(bytes)) return;
  await once(process.stdout, 'drain').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
