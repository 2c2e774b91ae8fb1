import type { Clock } from '../clock/clock.js';
import { TimerWheel } from '../clock/timer-wheel.js';
import type { Logger } from '../log/logger.js';
import { RateLimitedLog } from '../log/rate-limited.js';
import { Measures } from '../measures/measures.js';
import { stanSubjects } from '../protocol/stan-subjects.js';
import type { SnapshotSink, Store } from '../store/types/store.js';
import type { RandomBytes } from '../store/types/store-id.js';
import type { Probe } from './check/probe.js';
import { Answers } from './delivery/answers.js';
import { CommitGate } from './delivery/commit-gate.js';
import { Delivery } from './delivery/delivery.js';
import { FirstDeliveries } from './delivery/first-deliveries.js';
import { MessageWriter } from './delivery/message-writer.js';
import { Turn } from './delivery/turn.js';
import { AfterExpiry } from './handlers/after-expiry.js';
import { ProbeAnswerer } from './handlers/answer-probe.js';
import { Backlog } from './handlers/backlog.js';
import type { BrokerOptions } from './handlers/broker-options.js';
import type { ClientPinger } from './handlers/client-pinger.js';
import { ClientCloser } from './handlers/close-client.js';
import { SubscriptionEnder } from './handlers/end-subscription.js';
import { ExpiryTimer } from './handlers/expiry-timer.js';
import { Heartbeats } from './handlers/heartbeats.js';
import { Inactivity } from './handlers/inactivity.js';
import { AckHandler } from './handlers/on-ack.js';
import { CloseHandler } from './handlers/on-close.js';
import { ConnectHandler } from './handlers/on-connect.js';
import { PingHandler } from './handlers/on-ping.js';
import { PublishHandler } from './handlers/on-publish.js';
import { SubscribeHandler } from './handlers/on-subscribe.js';
import { UnsubscribeHandler } from './handlers/on-unsubscribe.js';
import { ChannelOpener } from './handlers/open-channel.js';
import { recover } from './handlers/recover.js';
import { writeSnapshot } from './handlers/snapshot.js';
import { SubscriptionStarter } from './handlers/start-subscription.js';
import { ackInboxPrefix } from './served-subjects.js';
import { AckInboxes } from './state/ack-inboxes.js';
import type { BadInputKind } from './state/bad-input.js';
import { Channels } from './state/channels.js';
import { Clients } from './state/clients.js';
import { Counters } from './state/counters.js';
import { EndedSubscriptions } from './state/ended-subscriptions.js';
import { Ids } from './state/ids.js';
import { ImportedAckInboxes } from './state/imported-ack-inboxes.js';
import type { AckWaitHandler, Subscription } from './state/subscription.js';

/** What a broker is made of, and what it reports to its owner. */
export interface BrokerParts {
  options: BrokerOptions;
  store: Store;
  clock: Clock;
  log: Logger;
  /** Where waits of publishers and subscribers are noted. Default: nowhere. */
  measures?: Measures;
  pinger: ClientPinger;
  /** What it sends to itself to see whether it is heard. Default: nothing. */
  probe?: Probe | undefined;
  /** Any number, hard to guess. */
  hashSeed: number;
  /** For names that only their owners may know: hard to guess. */
  random: RandomBytes;
  /** Runs a callback soon, after I/O that is due. */
  defer: (callback: () => void) => void;
  /** It cannot go on: nothing more is said to clients. Called once. */
  onFailed: (error: Error) => void;
}

/**
 * The parts of a broker, each with what it needs and no more, and the state as the store held it.
 *
 * @param onBroken gets what a turn, or a handler that waits beyond its turn, has thrown: nothing expects that
 */
export function wire(parts: BrokerParts, onBroken: (thrown: unknown) => void) {
  const { options, store, clock, log, defer, pinger, probe } = parts;
  const { recentGuids } = store.recovered;
  const counters = new Counters();
  const measures = parts.measures ?? new Measures();
  const subjects = stanSubjects(options.clusterId, options.discoverPrefix);
  const ids = new Ids(store.recovered.nextSession, store.recovered.nextSubscriptionId);
  const subscriptions = new Map<number, Subscription>();
  const channels = new Channels(parts.hashSeed);
  const clients = new Clients(parts.hashSeed);
  const ackInboxes = new AckInboxes(ackInboxPrefix(store.storeId), parts.random);
  const importedAckInboxes = new ImportedAckInboxes();
  const badInput = new RateLimitedLog<BadInputKind>(log, clock);
  const wheel = new TimerWheel(clock);
  const ended = new EndedSubscriptions(wheel);

  const turn = new Turn({ clock, atEnd: () => delivery.serveReady(), onBroken });
  const gate = new CommitGate(clock, measures.publishAck);
  const writer = new MessageWriter({ turn, counters, log });
  const firstDeliveries = new FirstDeliveries({
    clock,
    believed: store.believed,
    latency: measures.delivery,
  });
  const delivery = new Delivery({ turn, clock, wheel, writer, firstDeliveries, defer, store });
  const answers = new Answers({ turn, gate, store });
  const probes = new ProbeAnswerer({ turn, probe });
  const backlog = new Backlog({ options, store });

  const inactivity = new Inactivity({ clock, wheel, channels, ended, store, log });
  const opener = new ChannelOpener({ options, channels, inactivity, store, log });
  const ender = new SubscriptionEnder({
    subscriptions,
    ended,
    importedAckInboxes,
    delivery,
    inactivity,
    clock,
    wheel,
    store,
  });
  const closer = new ClientCloser({ clients, wheel, recentGuids, ender, store, log });
  const heartbeats = new Heartbeats({ options, pinger, wheel, turn, closer, delivery, store, log });
  const ackWait: AckWaitHandler = {
    onAckWait: (sub) => turn.run(() => (sub.hasLeft ? ender.endLeave(sub) : delivery.redeliver(sub))),
  };
  const starter = new SubscriptionStarter({
    ids,
    ackInboxes,
    ackWait,
    subscriptions,
    ended,
    inactivity,
    delivery,
    gate,
    store,
  });

  const publish = new PublishHandler({
    clients,
    channels,
    opener,
    recentGuids,
    backlog,
    store,
    gate,
    answers,
    turn,
    probes,
    counters,
    badInput,
  });
  const ack = new AckHandler({ ackInboxes, subscriptions, ended, delivery, probes, counters, badInput });
  const connect = new ConnectHandler({
    subjects,
    clients,
    ids,
    heartbeats,
    closer,
    pinger,
    turn,
    answers,
    store,
    badInput,
    log,
  });
  const ping = new PingHandler({ clients, heartbeats, answers, badInput });
  const subscribe = new SubscribeHandler({
    options,
    clients,
    channels,
    opener,
    starter,
    ender,
    inactivity,
    turn,
    afterExpiry: new AfterExpiry({ turn, clock, store, defer }),
    answers,
    store,
    badInput,
    log,
  });
  const unsubscribe = new UnsubscribeHandler({ channels, ender, answers, badInput });
  const close = new CloseHandler({ clients, closer, answers, badInput });
  const snapshot = (sink: SnapshotSink): void => writeSnapshot({ clients, recentGuids, channels }, sink);

  recover({
    options,
    channels,
    clients,
    subscriptions,
    ended,
    ackInboxes,
    importedAckInboxes,
    heartbeats,
    inactivity,
    ackWait,
    clock,
    wheel,
    store,
    log,
  });
  // While the link is being set up. The first publish would do it.
  defer(() => recentGuids.enter());
  const expiry = new ExpiryTimer({ wheel, store });
  return {
    ...{
      subjects,
      channels,
      clients,
      subscriptions,
      ended,
      importedAckInboxes,
      recentGuids,
      counters,
      badInput,
    },
    ...{ wheel, turn, gate, delivery, backlog, inactivity, probes, expiry },
    ...{ publish, ack, connect, ping, subscribe, unsubscribe, close, snapshot },
  };
}
