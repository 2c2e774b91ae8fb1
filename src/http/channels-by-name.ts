import type { Channel } from '../channel/channel.js';
import type { Channels } from '../channel/channels.js';

/** The channels in the order of their names. Sorted again only when some have come or gone. */
export class ChannelsByName {
  #channels: Channels | undefined;
  #changes = -1;
  #sorted: readonly Channel[] = [];

  of(channels: Channels): readonly Channel[] {
    if (channels !== this.#channels || channels.changes !== this.#changes) {
      const names = Array.from(channels.all(), (channel) => channel.name).sort();
      this.#sorted = names.map((name) => channels.get(name)!);
      this.#channels = channels;
      this.#changes = channels.changes;
    }
    return this.#sorted;
  }
}
