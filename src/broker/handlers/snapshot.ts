import type { RecentGuids } from '../../dedup/recent-guids.js';
import type { SnapshotSink } from '../../store/types/store.js';
import { toRanges } from '../../util/ranges.js';
import type { Channels } from '../state/channels.js';
import type { Clients } from '../state/clients.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';

/** What a snapshot is of. */
export interface SnapshotNeeds {
  readonly clients: Pick<Clients, 'all'>;
  readonly recentGuids: Pick<RecentGuids, 'runs'>;
  readonly channels: Pick<Channels, 'all'>;
}

/** The whole present state of clients, subscriptions and recent guids, as a checkpoint keeps it. */
export function writeSnapshot({ clients, recentGuids, channels }: SnapshotNeeds, sink: SnapshotSink): void {
  const write = (owner: Subscription | QueueGroup): void => {
    const pending = 'members' in owner ? owner.orphans : owner.inFlight;
    sink.subscription(owner.record(), toRanges(pending.sorted()));
  };
  for (const client of clients.all()) sink.client(client.record);
  for (const run of recentGuids.runs()) sink.recentGuids(run);
  for (const channel of channels.all()) {
    for (const sub of channel.subscriptions) write(sub);
    for (const durable of channel.durables.values()) if (!durable.isOnline) write(durable);
    for (const group of channel.groups.values()) {
      write(group);
      for (const member of group.members) write(member);
    }
  }
}
