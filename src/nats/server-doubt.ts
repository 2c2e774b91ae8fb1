import type { Connections } from './connections.js';
import type { ControlConnection } from './control-connection.js';

/** How long a server may take to answer a third connection. */
const DOUBT_MS = 1_000;

/** The two connections that are in doubt, and a third one. */
export interface DoubtedConnections extends Pick<Connections, 'endpoint'> {
  readonly control: Pick<ControlConnection, 'flush'> | undefined;
  dialLink(...args: Parameters<Connections['dialLink']>): Promise<{ close(): void }>;
}

/** Finds out by a third connection whether a server that answers on neither of the two is there at all. */
export class ServerDoubt {
  readonly #connections: DoubtedConnections;
  readonly #hasOtherServers: () => boolean;
  readonly #abandonServer: (why: string) => void;
  #isUnderWay = false;

  constructor(
    connections: DoubtedConnections,
    hasOtherServers: () => boolean,
    abandonServer: (why: string) => void,
  ) {
    this.#connections = connections;
    this.#hasOtherServers = hasOtherServers;
    this.#abandonServer = abandonServer;
  }

  /**
   * If the server answers on the third one alone, both are given up. If it answers nowhere, they stay, since it may only be slow, unless
   * there is another server.
   */
  async raise(): Promise<void> {
    const connections = this.#connections;
    const { control, endpoint } = connections;
    if (endpoint === undefined || control === undefined || this.#isUnderWay) return;
    this.#isUnderWay = true;
    let isBack = false;
    control.flush().then(
      () => {
        isBack = true;
      },
      () => {},
    );
    const isThere = await connections.dialLink(endpoint, undefined, DOUBT_MS).then(
      (link) => {
        link.close();
        return true;
      },
      () => false,
    );
    this.#isUnderWay = false;
    // It was paused, and goes on with what it has.
    if (isBack || connections.control !== control) return;
    if (isThere) this.#abandonServer('it answers on a new connection, and no more on these');
    else if (this.#hasOtherServers()) this.#abandonServer('it answers on no connection, old or new');
  }
}
