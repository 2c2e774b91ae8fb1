import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import type { NatsConnection } from './nats-connection.js';

/*
 * nats.js ends a dial that has timed out only when it begins the next one, and only once its TCP connection is there. The last dial of a
 * `connect` that fails stays: a program that tries again and again at a server that hangs would leave a socket behind each time. And a dial
 * to a host that does not answer keeps the program alive until the system gives it up. Node tells of each socket that is made, and in
 * which context: these are ended here.
 */

/** One `connect`, which makes one socket after the other. */
interface Dialing {
  /** The one that is being tried. */
  socket: Socket | undefined;
  isOver: boolean;
}

const SOCKETS = 'net.client.socket';
const dialing = new AsyncLocalStorage<Dialing>();
let dials = 0;

/** @throws Error of nats.js */
export async function dial(options: NodeConnectionOptions): Promise<NatsConnection> {
  const current: Dialing = { socket: undefined, isOver: false };
  if (dials++ === 0) subscribe(SOCKETS, note);
  try {
    return await dialing.run(current, connect, options);
  } catch (error) {
    current.socket?.destroy();
    throw error;
  } finally {
    // What the connection dials later, when it is lost, is not looked at.
    current.isOver = true;
    current.socket = undefined;
    // Both cost something, wherever the program makes sockets and promises.
    if (--dials === 0) {
      unsubscribe(SOCKETS, note);
      dialing.disable();
    }
  }
}

function note(message: unknown): void {
  const current = dialing.getStore();
  if (current === undefined || current.isOver) return;
  current.socket?.destroy();
  current.socket = (message as { socket: Socket }).socket;
}
