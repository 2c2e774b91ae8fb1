import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { Logger } from '../../log/logger.js';
import type { ClientRecord, Store } from '../../store/types/store.js';
import type { Delivery } from '../delivery/delivery.js';
import type { Turn } from '../delivery/turn.js';
import { ClientSession } from '../state/client-session.js';
import type { BrokerOptions } from './broker-options.js';
import type { ClientPinger } from './client-pinger.js';
import type { ClientCloser } from './close-client.js';

/** What heartbeats need. */
export interface HeartbeatNeeds {
  readonly options: Pick<BrokerOptions, 'heartbeatFailCount' | 'heartbeatIntervalMs' | 'heartbeatTimeoutMs'>;
  readonly pinger: ClientPinger;
  readonly wheel: Pick<TimerWheel, 'arm'>;
  readonly turn: Pick<Turn, 'link' | 'resume' | 'follow'>;
  readonly closer: Pick<ClientCloser, 'close'>;
  readonly delivery: Pick<Delivery, 'wake'>;
  readonly store: Pick<Store, 'commit'>;
  readonly log: Logger;
}

/**
 * Asks each client at intervals whether it is there, and closes it when it has not answered too often. While it does not answer,
 * its share of a queue group goes to others and nothing is delivered to it again.
 */
export class Heartbeats {
  readonly #needs: HeartbeatNeeds;

  constructor(needs: HeartbeatNeeds) {
    this.#needs = needs;
  }

  /** The session of a client that is connected, with its first heartbeat due in an interval. */
  begin(record: ClientRecord): ClientSession {
    const client = new ClientSession(record, this.#onDue);
    this.#arm(client);
    return client;
  }

  /**
   * The sessions of clients that the store has kept. Their first heartbeats are spread evenly over an interval: all at once they would
   * delay messages, then and in each later interval.
   */
  *resume(records: readonly ClientRecord[]): IterableIterator<ClientSession> {
    const { wheel, options } = this.#needs;
    for (const [i, record] of records.entries()) {
      const client = new ClientSession(record, this.#onDue);
      wheel.arm(client, (options.heartbeatIntervalMs * (i + 1)) / records.length);
      yield client;
    }
  }

  /** A silent client has said something: asks it at once, beside its regular heartbeats, so that its subscriptions go on. */
  confirmAlive(client: ClientSession): void {
    if (client.isBeingConfirmed) return;
    client.isBeingConfirmed = true;
    this.#needs.turn.follow(this.#confirm(client));
  }

  async #confirm(client: ClientSession): Promise<void> {
    const isAlive = await this.#isAlive(client);
    client.isBeingConfirmed = false;
    if (isAlive && !client.isClosed) this.#needs.turn.resume(() => this.#answered(client));
  }

  readonly #onDue = (client: ClientSession): void => this.#needs.turn.follow(this.#ask(client));

  async #ask(client: ClientSession): Promise<void> {
    const { turn } = this.#needs;
    const { link } = turn;
    // Without NATS no client can answer: that is not the client's failure.
    if (link === undefined) {
      this.#arm(client);
      return;
    }
    const isAlive = await this.#isAlive(client);
    if (client.isClosed) return;
    turn.resume(() => {
      if (isAlive) this.#answered(client);
      else if (turn.link === link) this.#missed(client);
      if (!client.isClosed) this.#arm(client);
    });
  }

  #isAlive({ record }: ClientSession): Promise<boolean> {
    const { pinger, options } = this.#needs;
    return pinger.ping(record.heartbeatInbox, options.heartbeatTimeoutMs);
  }

  #arm(client: ClientSession): void {
    this.#needs.wheel.arm(client, this.#needs.options.heartbeatIntervalMs);
  }

  #answered(client: ClientSession): void {
    if (!client.isSilent) return;
    client.failedHeartbeats = 0;
    this.#wakeSubscriptions(client);
  }

  #missed(client: ClientSession): void {
    const { options, closer, store, log } = this.#needs;
    client.failedHeartbeats++;
    if (client.failedHeartbeats > options.heartbeatFailCount) {
      log.warn(
        { clientId: client.id, failedHeartbeats: client.failedHeartbeats },
        'client closed: it does not answer its heartbeats',
      );
      closer.close(client);
      store.commit();
    } else if (client.failedHeartbeats === 1) this.#wakeSubscriptions(client);
  }

  /** Whether the client answers has changed, and with it which members of queue groups get messages. */
  #wakeSubscriptions(client: ClientSession): void {
    for (const sub of client.subscriptions) this.#needs.delivery.wake(sub);
  }
}
