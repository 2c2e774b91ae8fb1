import type { Channel } from '../broker/state/channel.js';
import type { Channels } from '../broker/state/channels.js';
import { sorted } from '../util/sorted.js';
import { Turns } from '../util/turns.js';

/** The channels sorted by name. They are sorted again only after channels were created or deleted. */
export class ChannelsByName {
  /** Weak, so that a standby that was active does not keep its old channels in memory. */
  readonly #sorted = new WeakMap<Channels, { readonly changes: number; readonly list: readonly Channel[] }>();

  async of(channels: Channels): Promise<readonly Channel[]> {
    const before = this.#sorted.get(channels);
    const { changes } = channels;
    if (before?.changes === changes) return before.list;
    const list = await sorted([...channels.all()], (a, b) => (a.name < b.name ? -1 : 1), await Turns.begin());
    this.#sorted.set(channels, { changes, list });
    return list;
  }
}
