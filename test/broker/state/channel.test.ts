import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Channel } from '../../../src/broker/state/channel.js';
import type { Subscription } from '../../../src/broker/state/subscription.js';
import type { ChannelLimits } from '../../../src/config/channel-limits.js';
import type { ChannelLog } from '../../../src/store/types/store.js';

function sub(inbox: string, ackInbox: string): Subscription {
  return { inbox, ackInbox } as Subscription;
}

it('subscriptions that are listed later are found by their inboxes, the newest of those that share one, and can be removed first', () => {
  const channel = new Channel({ lastSequence: 0 } as ChannelLog, {} as ChannelLimits);
  const [older, newer, gone] = [sub('i', 'a'), sub('i', 'b'), sub('j', 'c')];
  for (const recovered of [older, newer, gone]) channel.listLater(recovered);
  channel.byAckInbox.delete('c');
  channel.byInbox.delete('j');
  assert.equal(channel.byInbox.get('i'), newer);
  assert.deepEqual([...channel.byAckInbox.keys()], ['a', 'b']);
  assert.deepEqual([...channel.byInbox.keys()], ['i']);
  // One that comes meanwhile is newer than all of them.
  const last = sub('i', 'd');
  channel.listLater(sub('i', 'e'));
  channel.byInbox.set('i', last);
  assert.equal(channel.byInbox.get('i'), last);
});
