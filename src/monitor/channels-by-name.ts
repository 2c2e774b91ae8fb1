import type { Channel } from '../broker/state/channel.js';
import type { Channels } from '../broker/state/channels.js';

/** The channels sorted by name. They are sorted again only after channels were created or deleted. */
export class ChannelsByName {
  /** Weak, so that a standby that was active does not keep its old channels in memory. */
  readonly #sorted = new WeakMap<Channels, { readonly changes: number; readonly list: readonly Channel[] }>();

  of(channels: Channels): readonly Channel[] {
    const before = this.#sorted.get(channels);
    if (before?.changes === channels.changes) return before.list;
    const list = [...channels.all()].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#sorted.set(channels, { changes: channels.changes, list });
    return list;
  }
}
