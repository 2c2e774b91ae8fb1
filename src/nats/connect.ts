import { createConnection, type Socket } from 'node:net';
import { NodeTransport } from 'nats/lib/src/node_transport.js';

/*
 * The `nats` package (2.29) does not end a dial that has timed out: its connection comes up all the same, and nobody reads it. When it
 * ends, that is taken for the end of the connection that was made meanwhile: another one is dialled beside it, both feed one parser,
 * and each message comes twice. Here the socket of a dial is known from its first moment, and is gone when the dial is given up. The
 * package has no place for that but the class of its transports: it holds for every connection that the process makes with it.
 */

const { close, tlsFirst } = NodeTransport.prototype;

NodeTransport.prototype.dial = function (this: NodeTransport, { port, hostname }): Promise<Socket> {
  const socket = createConnection(port, hostname);
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

export { connect } from 'nats';
