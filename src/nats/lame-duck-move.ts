import type { Link } from '../link/link.js';
import type { Logger } from '../log/logger.js';
import type { Backoff } from './backoff.js';
import type { Connections } from './connections.js';
import type { ControlConnection } from './control-connection.js';
import type { Endpoint } from './dialer.js';
import type { MovingLink } from './moving-link.js';
import { reasonOf } from './round-error.js';

export interface LameDuckMoveOptions {
  connections: Connections;
  logger: Logger;
  /** Between two tries, while no other server can be reached. */
  backoff: Backoff;
  /** The servers to try. */
  endpoints: () => AsyncIterable<Endpoint>;
  /** Both connections are at this server now; the old control connection is still to be replaced. */
  onMoved: (endpoint: Endpoint, control: ControlConnection, old: ControlConnection) => void;
}

/**
 * The move away from a server in lame-duck mode, which is about to stop: both connections are made at another server before that one
 * closes them. Without another server the transport stays for as long as it can.
 */
export class LameDuckMove {
  readonly #options: LameDuckMoveOptions;

  constructor(options: LameDuckMoveOptions) {
    this.#options = options;
  }

  /** Tries each server once, and waits a moment if none takes it. */
  async try(): Promise<void> {
    const { connections, logger, backoff, endpoints } = this.#options;
    const { link, server, control: old } = connections;
    if (old === undefined || link === undefined) return;
    if (backoff.count === 0)
      logger.info({ server }, 'the NATS server is in lame-duck mode: moving to another one');
    let reason = 'there is no other server';
    for await (const endpoint of endpoints()) {
      if (!this.#isAt(link)) return;
      const failure = await this.#moveTo(endpoint, link, old);
      if (failure === undefined) {
        backoff.reset();
        return;
      }
      if (endpoint.server.name !== server) reason = `${endpoint.server.name}: ${failure}`;
    }
    if (!this.#isAt(link)) return;
    if (backoff.count === 0)
      logger.warn({ server, reason }, 'staying at a NATS server that is about to stop: trying again');
    await backoff.wait();
  }

  /** Whether the connections are still those that are to be moved. */
  #isAt(link: MovingLink): boolean {
    const { connections } = this.#options;
    return !connections.isClosed && connections.link === link && connections.isConnected;
  }

  /** @returns why the move failed; undefined if it succeeded */
  async #moveTo(endpoint: Endpoint, link: MovingLink, old: ControlConnection): Promise<string | undefined> {
    const { connections, onMoved } = this.#options;
    let next: Link | undefined;
    let control: ControlConnection | undefined;
    let isMoved = false;
    try {
      next = await connections.dialLink(endpoint);
      const { serverId, lameDuck } = next.serverInfo;
      if (lameDuck || serverId === old.serverInfo.serverId) return 'it is about to stop too';
      control = await connections.dialControl(endpoint, next.serverInfo);
      // An earlier move may have brought the link there, and lost the control connection.
      if (serverId !== link.serverInfo.serverId) {
        isMoved = true;
        const failure = await link.moveTo(next);
        if (failure !== undefined) return failure;
      }
      if (connections.isClosed || connections.link !== link || control.isClosed())
        return 'the connection there was lost at once';
      onMoved(endpoint, control, old);
      control = undefined;
      return undefined;
    } catch (error) {
      return reasonOf(error).message;
    } finally {
      control?.close();
      if (!isMoved) next?.close();
    }
  }
}
