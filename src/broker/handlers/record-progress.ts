import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { BrokerContext } from './context.js';

const NOTHING: readonly number[] = [];

/**
 * Tells the store what has been delivered and acknowledged since the last call.
 *
 * A message that goes from one member of a queue group to another is acknowledged for the first and delivered to the second.
 * The two records may fall into two batches with a crash between them. So all that was delivered is recorded first: then both
 * have it, and it comes twice; the other way round it would be nobody's.
 */
export function recordAllProgress(context: BrokerContext): void {
  const { dirty } = context.delivery;
  const { store } = context;
  for (let i = 0; i < dirty.length; i++) {
    const owner = dirty[i]!;
    owner.isDirty = false;
    if (!isShared(owner)) recordProgress(context, owner);
    else if (owner.progress.delivered.length > 0) {
      store.recordProgress(owner.id, owner.progress.delivered, NOTHING);
    }
  }
  for (let i = 0; i < dirty.length; i++) {
    const owner = dirty[i]!;
    if (!isShared(owner)) continue;
    if (owner.progress.acked.length > 0) store.recordProgress(owner.id, NOTHING, owner.progress.acked);
    owner.progress.clear();
  }
  dirty.length = 0;
}

/** The same for one, which shares its messages with nobody. */
export function recordProgress(context: BrokerContext, owner: Subscription | QueueGroup): void {
  const { progress } = owner;
  if (progress.isEmpty) return;
  context.store.recordProgress(owner.id, progress.delivered, progress.acked);
  progress.clear();
}

function isShared(owner: Subscription | QueueGroup): boolean {
  return 'members' in owner || owner.group !== undefined;
}
