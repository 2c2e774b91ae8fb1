import assert from 'node:assert/strict';
import type { Broker } from '../../src/broker/broker.js';
import { durableKey } from '../../src/broker/state/channel.js';
import type { Subscription } from '../../src/broker/state/subscription.js';

/** What the broker's own tables say of each other. */
export function checkConsistency(broker: Broker): void {
  const online = new Set<Subscription>();
  for (const channel of broker.channels.all()) {
    const here = new Set(channel.subscriptions);
    for (const group of channel.groups.values()) {
      assert.ok(group.isDurable || group.members.length > 0, `${group.key} has no members`);
      for (const member of group.members) {
        assert.equal(member.group, group);
        here.add(member);
      }
    }
    for (const sub of here) {
      online.add(sub);
      const context = `subscription ${sub.id}`;
      assert.equal(broker.subscriptions.get(sub.id), sub, context);
      assert.equal(channel.byAckInbox.get(sub.ackInbox), sub, context);
      assert.ok(sub.client?.subscriptions.has(sub), context);
      assert.equal(broker.clients.get(sub.clientId), sub.client, context);
      if (sub.inFlight.size > 0 && sub.isStarted && !sub.delivery.isLoading) {
        assert.ok(sub.dueTick >= 0, `${context} has messages in flight, and nothing wakes it`);
      }
      checkOwnership(sub);
    }
    assert.equal(channel.byAckInbox.size, here.size, 'ack inboxes of the channel');
    for (const [inbox, sub] of channel.byInbox) {
      assert.ok(here.has(sub) && sub.inbox === inbox, `inbox ${inbox} of a subscription that has ended`);
    }
    for (const durable of channel.durables.values()) {
      assert.equal(durable.isOnline, here.has(durable), `durable ${durable.durableName}`);
      if (!durable.isOnline) assert.equal(durable.dueTick, -1, 'nothing wakes a durable that is offline');
      assert.equal(broker.ended.get(durable.id), durable.isOnline ? undefined : durable, 'its late acks');
    }
  }
  for (const ended of broker.ended.all()) {
    const context = `subscription ${ended.id}, which has ended`;
    assert.ok(!online.has(ended), context);
    if (ended.hasLeft) assert.ok(ended.dueTick >= 0, `${context}, is kept for ever`);
    else
      assert.equal(ended.channel.durables.get(durableKey(ended.clientId, ended.durableName)), ended, context);
  }
  assert.equal(broker.subscriptions.size, online.size);
  for (const client of broker.clients.all()) {
    for (const sub of client.subscriptions)
      assert.ok(online.has(sub), `client ${client.id} has a dead subscription`);
  }
  for (const owner of broker.delivery.waiting) {
    if (!('members' in owner)) assert.ok(online.has(owner), `subscription ${owner.id} waits, and has ended`);
    else assert.equal(owner.channel.groups.get(owner.key), owner, `group ${owner.key} waits, and has ended`);
  }
}

/** Each message of a group is with one member at most. */
function checkOwnership(sub: Subscription): void {
  const { group } = sub;
  if (group === undefined || group.members[0] !== sub) return;
  const all = [group.orphans, ...group.members.map(({ inFlight }) => inFlight)].flatMap((some) =>
    some.sorted(),
  );
  assert.equal(new Set(all).size, all.length, `a message of ${group.key} is with two`);
}
