import { once } from 'node:events';
import net from 'node:net';

/** A port of the loopback address that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** @throws Error naming the purpose of the port, if the port is taken */
export async function checkPortIsFree(port: number, purpose: string): Promise<void> {
  const server = net.createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'taken already' : String(error);
    throw new Error(
      `port ${port}, for ${purpose}, is ${reason}: stop the program that has it, or choose another port`,
    );
  }
  server.close();
  await once(server, 'close');
}
