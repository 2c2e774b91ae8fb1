import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import type { NatsConnection } from './nats.js';

/*
 * nats.js ends a dial that has timed out only when it begins the next one. The last dial of a `connect` that fails stays: a program that
 * tries again and again at a server that hangs would leave a socket behind each time. And a dial whose TCP connection is not there yet
 * keeps the program alive until the system gives it up. Node tells of each socket that is made, and for whom: these are ended here.
 */

/** One `connect`, which makes one socket after the other. */
interface Dialing {
  /** Undefined when it is over. */
  sockets: Socket[] | undefined;
}

const SOCKETS = 'net.client.socket';
const dialing = new AsyncLocalStorage<Dialing>();
let dials = 0;

/** @throws Error of nats.js */
export async function dial(options: NodeConnectionOptions): Promise<NatsConnection> {
  const sockets: Socket[] = [];
  const current: Dialing = { sockets };
  if (dials++ === 0) subscribe(SOCKETS, note);
  let isConnected = false;
  try {
    const connection = await dialing.run(current, connect, options);
    isConnected = true;
    return connection;
  } finally {
    current.sockets = undefined;
    // Both cost something, wherever the program makes sockets and promises.
    if (--dials === 0) {
      unsubscribe(SOCKETS, note);
      dialing.disable();
    }
    // The last one is the connection.
    if (isConnected) sockets.pop();
    for (const socket of sockets) socket.destroy();
  }
}

function note(message: unknown): void {
  dialing.getStore()?.sockets?.push((message as { socket: Socket }).socket);
}
