import { assert } from '../../util/assert.js';
import { ByteMap } from '../../util/byte-map.js';
import type { Channel } from './channel.js';

/** The channels by name, as bytes for messages and as a string for requests. */
export class Channels {
  readonly #byName = new Map<string, Channel>();
  readonly #byBytes: ByteMap<Channel>;
  readonly #byLowerCase = new Map<string, Channel>();
  /** Grows when one is added or removed, so that a kept list of them can be checked. */
  changes = 0;

  constructor(hashSeed: number) {
    this.#byBytes = new ByteMap(hashSeed);
  }

  get size(): number {
    return this.#byName.size;
  }

  all(): IterableIterator<Channel> {
    return this.#byName.values();
  }

  get(name: string): Channel | undefined {
    return this.#byName.get(name);
  }

  find(buffer: Buffer, start: number, end: number): Channel | undefined {
    return this.#byBytes.get(buffer, start, end);
  }

  /** The channel whose name is the same but for upper and lower case. */
  findInAnyCase(name: string): Channel | undefined {
    return this.#byLowerCase.get(name.toLowerCase());
  }

  add(channel: Channel): void {
    this.changes++;
    this.#byName.set(channel.name, channel);
    this.#byLowerCase.set(channel.name.toLowerCase(), channel);
    const name = Buffer.from(channel.name);
    this.#byBytes.set(name, 0, name.length, channel);
  }

  remove(channel: Channel): void {
    assert(this.#byName.get(channel.name) === channel, 'a channel that is removed is the one of its name');
    this.changes++;
    this.#byName.delete(channel.name);
    this.#byLowerCase.delete(channel.name.toLowerCase());
    const name = Buffer.from(channel.name);
    this.#byBytes.delete(name, 0, name.length);
  }
}
