import { once } from 'node:events';
import net from 'node:net';
import type { Clock } from '../clock/clock.js';
import { parseServerInfo, type ServerInfo } from '../link/server-info.js';

const MAX_INFO_CHARS = 64 * 1024;

/** The program that answers at an address. */
export type Probe =
  | { kind: 'none' }
  | { kind: 'nats-server'; info: ServerInfo }
  /** A program that does not begin with an INFO: no nats-server, or one that begins with the TLS handshake. */
  | { kind: 'other' };

/** Connects to an address, and finds out what answers there. */
export async function probe(host: string, port: number, timeoutMs: number, clock: Clock): Promise<Probe> {
  const socket = net.connect({ host, port });
  socket.on('error', () => {});
  const timer = clock.setTimer(timeoutMs, () => socket.destroy());
  try {
    await once(socket, 'connect');
  } catch {
    timer.cancel();
    return { kind: 'none' };
  }
  try {
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) {
      text += chunk;
      if (text.includes('\n') || text.length > MAX_INFO_CHARS) break;
    }
    const json = /^INFO[ \t]+(.*)/i.exec(text)?.[1];
    return json ? { kind: 'nats-server', info: parseServerInfo(json) } : { kind: 'other' };
  } catch {
    return { kind: 'other' };
  } finally {
    timer.cancel();
    socket.destroy();
  }
}
