import { isInboxValid, MAX_CONN_ID_BYTES } from '../../broker/handlers/names.js';
import { areSubjects } from '../../store/format/former-subjects.js';
import type { FormerSubjects } from '../../store/types/store.js';
import type { SourceChannel, SourceClient, SourceState, SourceSubscription } from '../types/source.js';
import { isGroup } from './positions.js';

/**
 * What a broker can serve. Inboxes are written into lines of the NATS protocol as they are, so one that is no subject must not get that far; the old server need not have
 * looked at that. A durable whose subscriber cannot be served goes offline, and no position is lost.
 */
export class SoundState {
  /** What cannot be served: sentences for people, without full stop. */
  readonly leftOut: string[] = [];
  /** Undefined if clients send to those of the cluster id, or there are none. */
  readonly formerSubjects: FormerSubjects | undefined;
  readonly #clients = new Map<string, SourceClient>();

  constructor({ clients, subjects }: Pick<SourceState, 'clients' | 'subjects'>) {
    const areHeard = subjects === undefined || areSubjects(subjects);
    for (const client of clients) {
      let fault = this.#clients.has(client.clientId)
        ? 'another client has the same id'
        : faultOfClient(client);
      if (!areHeard) fault = 'it sends to subjects that no broker listens on';
      if (fault === undefined) this.#clients.set(client.clientId, client);
      else this.leftOut.push(`client ${client.clientId}: ${fault}. It has to connect again`);
    }
    const { size } = this.#clients;
    this.formerSubjects =
      subjects === undefined || size === 0 ? undefined : { ...subjects, lastSession: size };
  }

  get clients(): readonly SourceClient[] {
    return [...this.#clients.values()];
  }

  /** A channel with those of its subscriptions that can be served. It has been read: until then its source may add some. */
  channel(channel: SourceChannel): SourceChannel {
    const subscriptions: SourceSubscription[] = [];
    for (const subscription of channel.subscriptions) {
      const fault = faultOf(subscription, this.#clients);
      const kept = fault === undefined ? subscription : offline(subscription);
      if (fault !== undefined)
        this.leftOut.push(`${nameOf(channel, subscription)}: ${fault}. ${fateOf(subscription)}`);
      if (kept !== undefined) subscriptions.push(withLimits(kept));
    }
    return { ...channel, subscriptions };
  }
}

function faultOfClient({ clientId, heartbeatInbox, connId }: SourceClient): string | undefined {
  if (clientId === '') return 'it has no id';
  if (!isInboxValid(heartbeatInbox)) return 'its heartbeat inbox is no subject to publish to';
  return connId.length > MAX_CONN_ID_BYTES ? `its connection id has ${connId.length} bytes` : undefined;
}

function faultOf(
  subscription: SourceSubscription,
  clients: ReadonlyMap<string, SourceClient>,
): string | undefined {
  const { clientId, inbox, ackInbox, durableName, isOnline } = subscription;
  if (isGroup(subscription)) return undefined;
  if (!isOnline) return durableName === '' ? 'its client is not connected' : undefined;
  if (!clients.has(clientId)) return 'its client does not come along';
  if (!isInboxValid(inbox)) return 'its inbox is no subject to publish to';
  return isInboxValid(ackInbox) ? undefined : 'its ack inbox is no subject';
}

/** What is left of a subscription without its subscriber; undefined if nothing is. */
function offline(subscription: SourceSubscription): SourceSubscription | undefined {
  const without = { ...subscription, isOnline: false, inbox: '', ackInbox: '' };
  if (subscription.queueGroup === '') return subscription.durableName === '' ? undefined : without;
  // Other members of its group get what it had.
  return { ...without, clientId: '', maxInFlight: 0, ackWaitSeconds: 0 };
}

function fateOf({ durableName, queueGroup }: SourceSubscription): string {
  if (queueGroup !== '') return 'What it has not acknowledged is for the other members';
  return durableName === '' ? 'It ends; its client has to subscribe again' : 'It comes along offline';
}

function nameOf({ name }: SourceChannel, { clientId }: SourceSubscription): string {
  return `a subscription of client ${clientId} to ${name}`;
}

/** A message that is never in flight, or whose ack wait is none, would be sent without end. */
function withLimits(subscription: SourceSubscription): SourceSubscription {
  const { maxInFlight, ackWaitSeconds, clientId } = subscription;
  if (clientId === '' || (maxInFlight > 0 && ackWaitSeconds > 0)) return subscription;
  return {
    ...subscription,
    maxInFlight: Math.max(1, maxInFlight),
    ackWaitSeconds: Math.max(1, ackWaitSeconds),
  };
}
