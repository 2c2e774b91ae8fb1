import { once } from 'node:events';
import net from 'node:net';
import { checkPortIsFree } from '../../src/local-group/free-port.js';

const HOST = '127.0.0.1';
/** Below the ports that Linux and macOS give to whoever asks for any: no connection of another program gets one of these. */
const FIRST_PORT = 20_000;
const BLOCK_COUNT = 200;
const PORTS_IN_BLOCK = 50;

/**
 * Ports that are this process's alone. Test files run side by side, each in a process of its own: who listens on the first port
 * of a block has the others of it. The system takes the block back when the process ends, however it ends.
 */
let block: { next: number; end: number } = { next: 0, end: 0 };
let turn: Promise<unknown> = Promise.resolve();

/** A port of 127.0.0.1 on which nothing listens, and which no other test gets as long as this process runs. */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/** The first of so many ports in a row, each as of `freePort`. */
export function freePorts(count: number): Promise<number> {
  const ports = turn.then(() => takePorts(count));
  turn = ports.catch(() => {});
  return ports;
}

async function takePorts(count: number): Promise<number> {
  if (count >= PORTS_IN_BLOCK) throw new Error(`${count} ports in a row are more than a block has`);
  for (;;) {
    if (block.next + count > block.end) block = await claimBlock();
    const first = block.next;
    block.next += count;
    // What an earlier run has left behind may still be there.
    const checks = Array.from({ length: count }, (_, i) => checkPortIsFree(first + i, 'a test'));
    if ((await Promise.allSettled(checks)).every(({ status }) => status === 'fulfilled')) return first;
  }
}

async function claimBlock(): Promise<typeof block> {
  for (let tries = 0; tries < BLOCK_COUNT; tries++) {
    const first = FIRST_PORT + ((process.pid + tries) % BLOCK_COUNT) * PORTS_IN_BLOCK;
    const claim = net.createServer().listen({ host: HOST, port: first, exclusive: true });
    try {
      await once(claim, 'listening');
    } catch {
      continue;
    }
    claim.unref();
    return { next: first + 1, end: first + PORTS_IN_BLOCK };
  }
  throw new Error(`no block of ports is free from ${FIRST_PORT} on: what listens there?`);
}
