import type { Channel } from '../broker/state/channel.js';
import type { Channels } from '../broker/state/channels.js';

/** The channels in the order of their names. Sorted again only when some have come or gone. */
export class ChannelsByName {
  /** Weak: what a broker that is over has held is not kept for it, on a standby that was active. */
  readonly #sorted = new WeakMap<Channels, { readonly changes: number; readonly list: readonly Channel[] }>();

  of(channels: Channels): readonly Channel[] {
    const before = this.#sorted.get(channels);
    if (before?.changes === channels.changes) return before.list;
    const names = Array.from(channels.all(), (channel) => channel.name).sort();
    const list = names.map((name) => channels.get(name)!);
    this.#sorted.set(channels, { changes: channels.changes, list });
    return list;
  }
}
