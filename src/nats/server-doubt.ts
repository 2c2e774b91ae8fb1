import type { Clock } from '../clock/clock.js';
import type { Connections } from './connections.js';

/** How long a server may take to answer a third connection. */
const DOUBT_MS = 1_000;

/** Finds out by a third connection whether a server that answers on neither of the two is there at all. */
export class ServerDoubt {
  readonly #clock: Clock;
  readonly #connections: Connections;
  readonly #hasOtherServers: () => boolean;
  readonly #abandonServer: (why: string) => void;
  #isUnderWay = false;

  constructor(
    clock: Clock,
    connections: Connections,
    hasOtherServers: () => boolean,
    abandonServer: (why: string) => void,
  ) {
    this.#clock = clock;
    this.#connections = connections;
    this.#hasOtherServers = hasOtherServers;
    this.#abandonServer = abandonServer;
  }

  /** If the server answers on the third one, both are given up. If not, they stay, since it may only be slow, unless there is another server. */
  async raise(): Promise<void> {
    const connections = this.#connections;
    const { control, endpoint } = connections;
    if (endpoint === undefined || this.#isUnderWay) return;
    this.#isUnderWay = true;
    const dial = new AbortController();
    const patience = this.#clock.setTimer(DOUBT_MS, () => dial.abort(new Error('no answer')));
    const isThere = await connections.dialLink(endpoint, dial.signal).then(
      (link) => {
        link.close();
        return true;
      },
      () => false,
    );
    patience.cancel();
    this.#isUnderWay = false;
    if (connections.control !== control) return;
    if (isThere) this.#abandonServer('it answers on a new connection, and no more on these');
    else if (this.#hasOtherServers()) this.#abandonServer('it answers on no connection, old or new');
  }
}
