import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ChannelTable } from '../../src/monitor/channel-table.js';
import { ChannelsByName } from '../../src/monitor/channels-by-name.js';
import { InMemoryBroker } from '../broker/in-memory.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A standby that was active holds what it held then, beside all that it takes over next, if anything keeps its last broker. */
describe('a broker that is over', () => {
  async function isKeptAfter(look: (broker: InMemoryBroker['broker']) => Promise<unknown>): Promise<boolean> {
    const looked = async (): Promise<WeakRef<object>> => {
      const world = await InMemoryBroker.start();
      const { broker } = world;
      await world.connect('p');
      await world.publish('p', 'orders');
      await look(broker);
      return new WeakRef(broker.channels);
    };
    const channels = await looked();
    for (let i = 0; i < 10 && channels.deref() !== undefined; i++) {
      await turn();
      collectGarbage();
    }
    return channels.deref() !== undefined;
  }

  it('is not kept by the order of its channels, which scrapes and /streaming share', async () => {
    const byName = new ChannelsByName();
    assert.equal(await isKeptAfter(async ({ channels }) => byName.of(channels)), false);
    assert.ok(byName);
  });

  it('is not kept by the table of its channels, which the dashboard shows', async () => {
    const table = new ChannelTable();
    const query = ChannelTable.queryOf(() => null);
    assert.equal(await isKeptAfter((broker) => table.page(broker, query)), false);
    assert.ok(table);
  });
});
