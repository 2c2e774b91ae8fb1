import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import type { NatsConnection } from './nats-connection.js';

/*
 * Dials NATS, and closes the sockets that nats.js leaves behind. nats.js closes the socket of a dial that has timed out only when it
 * begins the next dial, and only once TCP has connected. So the last socket of a failed `connect` stays open: a program that retries at
 * a hanging server would leak one each time, and a dial to a host that does not answer keeps the program alive until the system gives
 * it up. Node publishes each new socket on a diagnostics channel, with its async context; `dial` closes those of its own.
 */

/** One `connect`, which makes one socket after the other. */
interface Dialing {
  /** The socket of the current dial. */
  socket: Socket | undefined;
  isOver: boolean;
}

const SOCKETS = 'net.client.socket';
const dialing = new AsyncLocalStorage<Dialing>();
let dials = 0;

/** @throws the error of nats.js if no server could be reached */
export async function dial(options: NodeConnectionOptions): Promise<NatsConnection> {
  const current: Dialing = { socket: undefined, isOver: false };
  if (dials++ === 0) subscribe(SOCKETS, note);
  try {
    return await dialing.run(current, connect, options);
  } catch (error) {
    current.socket?.destroy();
    throw error;
  } finally {
    // The sockets of a later reconnect are not ours to close.
    current.isOver = true;
    current.socket = undefined;
    // Both slow down every socket and promise of the program.
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
