import type { SnapshotSink } from '../../store/types/store.js';
import { toRanges } from '../../util/ranges.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { BrokerContext } from './context.js';

/** The whole present state of clients, subscriptions and recent guids, as a checkpoint keeps it. */
export function writeSnapshot(context: BrokerContext, sink: SnapshotSink): void {
  const write = (owner: Subscription | QueueGroup): void => {
    const pending = 'members' in owner ? owner.orphans : owner.inFlight;
    sink.subscription(owner.record(), toRanges(pending.sorted()));
  };
  for (const client of context.clients.all()) sink.client(client.record);
  for (const run of context.recentGuids.runs()) sink.recentGuids(run);
  for (const channel of context.channels.all()) {
    for (const sub of channel.subscriptions) write(sub);
    for (const durable of channel.durables.values()) if (!durable.isOnline) write(durable);
    for (const group of channel.groups.values()) {
      write(group);
      for (const member of group.members) write(member);
    }
  }
}
