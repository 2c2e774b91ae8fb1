import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { RecentGuids } from '../../dedup/recent-guids.js';
import type { Logger } from '../../log/logger.js';
import type { Store } from '../../store/types/store.js';
import type { ClientSession } from '../state/client-session.js';
import type { Clients } from '../state/clients.js';
import type { SubscriptionEnder } from './end-subscription.js';

/** What the end of a client needs. */
export interface CloseClientNeeds {
  readonly clients: Pick<Clients, 'remove'>;
  readonly wheel: Pick<TimerWheel, 'disarm'>;
  readonly recentGuids: Pick<RecentGuids, 'forget'>;
  readonly ender: Pick<SubscriptionEnder, 'end'>;
  readonly store: Pick<Store, 'removeClient'>;
  readonly log: Logger;
}

/** Ends clients: those that say goodbye, that do not answer, or that are replaced. */
export class ClientCloser {
  readonly #needs: CloseClientNeeds;

  constructor(needs: CloseClientNeeds) {
    this.#needs = needs;
  }

  /** Its durables go offline, its other subscriptions end. */
  close(client: ClientSession): void {
    const { clients, wheel, recentGuids, ender, store, log } = this.#needs;
    client.isClosed = true;
    wheel.disarm(client);
    clients.remove(client);
    recentGuids.forget(client.record.session);
    for (const sub of [...client.subscriptions]) ender.end(sub, 'close');
    store.removeClient(client.id);
    log.debug({ clientId: client.id }, 'client closed');
  }
}
