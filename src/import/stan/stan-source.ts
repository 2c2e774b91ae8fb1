import type { ImportSource, MessageSink, SourceProblem, SourceState } from '../types/source.js';
import { ChannelCopy } from './channel-copy.js';
import { DeliveredBlock } from './delivered-block.js';
import { OldServer, type OldServerOptions, type StanChannel } from './old-server.js';

export interface StanSourceOptions extends OldServerOptions {
  /** How many messages of a channel may be on their way. */
  maxInFlight: number;
}

/**
 * A running STAN server, read by the protocol up to the messages that it has at the beginning: its messages by subscriptions that leave
 * nothing behind, the positions of durables by its monitoring. Clients do not come along: they have to connect again.
 */
export class StanSource implements ImportSource {
  readonly name: string;
  readonly #server: OldServer;
  readonly #options: StanSourceOptions;

  constructor(options: StanSourceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#server = new OldServer(options);
  }

  get problems(): readonly SourceProblem[] {
    return this.#server.problems;
  }

  async open(): Promise<SourceState> {
    await this.#server.open();
    const channels = await this.#server.channels();
    return { clusterId: this.#server.clusterId, subjects: undefined, clients: [], channels };
  }

  async read(channel: StanChannel, sink: MessageSink): Promise<void> {
    const { maxInFlight, signal } = this.#options;
    const block = new DeliveredBlock(sink);
    if (channel.messages > 0) {
      const copy = new ChannelCopy({
        ...{ connection: this.#server.connection, channel: channel.name, stop: signal },
        maxInFlight: Math.min(maxInFlight, channel.maxInFlight),
        hasMore: (after) => this.#server.hasMore(channel.name, after),
        onMessage: (encoded, sequence, timestampNs) => block.add(encoded, sequence, timestampNs),
      });
      await copy.run(() => channel.lastSequence);
      signal.throwIfAborted();
      await block.drain();
    }
    await this.#server.addPositions(channel);
  }

  async close(): Promise<void> {
    await this.#server.close();
  }
}
