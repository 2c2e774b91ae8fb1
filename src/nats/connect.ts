import { createConnection, type Socket } from 'node:net';
import { type ConnectionOptions, type NatsConnection, connect as natsConnect } from 'nats';
import { NodeTransport } from 'nats/lib/src/node_transport.js';

/*
 * The `nats` package (2.29) does not end a dial that has timed out: its connection comes up all the same, and nobody reads it. When it
 * ends, that is taken for the end of the connection that was made meanwhile: another one is dialled beside it, both feed one parser,
 * and each message comes twice. Here the socket of a dial is known from its first moment, and is gone when the dial is given up. The
 * package has no place for that but the class of its transports: it holds for every connection that the process makes with it.
 */

/** The dials of one `connect`, which the package makes one after the other. */
interface Dialing {
  isGivenUp: boolean;
  /** Of the last one. */
  socket: Socket | undefined;
}

/** The package hands its options on to the transport, with whatever else is in them. */
type DialOptions = ConnectionOptions & { dialing?: Dialing };

const { close, tlsFirst } = NodeTransport.prototype;

NodeTransport.prototype.dial = function (this: NodeTransport, { port, hostname }): Promise<Socket> {
  const { dialing } = this.options as DialOptions;
  if (dialing?.isGivenUp) return Promise.reject(new Error('given up'));
  const socket = createConnection(port, hostname);
  if (dialing !== undefined) dialing.socket = socket;
  this.socket = socket;
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    socket.once('connect', () => resolve(socket));
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => reject(failure));
  });
};

NodeTransport.prototype.tlsFirst = async function (this: NodeTransport, server) {
  // The package shakes hands over a socket that is there already.
  await this.dial(server);
  return tlsFirst.call(this, server);
};

NodeTransport.prototype.close = function (this: NodeTransport, error?: Error): Promise<void> {
  // From then on the package does it.
  if (!this.connected) (this.socket as Socket | undefined)?.destroy();
  return close.call(this, error);
};

/**
 * As that of the package, which has nothing that ends it.
 *
 * @param signal ends it while it connects: sockets are closed at once
 * @throws NatsError; the signal's reason
 */
export async function connect(options: ConnectionOptions, signal?: AbortSignal): Promise<NatsConnection> {
  if (signal === undefined) return await natsConnect(options);
  signal.throwIfAborted();
  const dialing: Dialing = { isGivenUp: false, socket: undefined };
  const withDialing: DialOptions = { ...options, dialing };
  const connecting = natsConnect(withDialing);
  let giveUp: () => void = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = () => {
      dialing.isGivenUp = true;
      dialing.socket?.destroy();
      reject(signal.reason);
    };
  });
  signal.addEventListener('abort', giveUp);
  try {
    return await Promise.race([connecting, givenUp]);
  } catch (error) {
    // Where a server has taken the connection and says nothing, the package waits out its timeout.
    void connecting.then((connection) => connection.close()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
