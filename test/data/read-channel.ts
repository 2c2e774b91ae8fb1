import { createHash } from 'node:crypto';
import { decodeMsgProto, StartPosition } from '../../src/protocol/messages.js';
import { RawClient } from '../harness/raw-client.js';
import { waitFor } from '../harness/wait.js';

/** A channel's messages as a new subscriber gets them: the bytes that are stored. */
export class DeliveredChannel {
  readonly #messages: Buffer[];

  private constructor(messages: Buffer[]) {
    this.#messages = messages;
  }

  /** Reads it up to this message, by a client of its own. */
  static async read(
    natsUrl: string,
    clusterId: string,
    channel: string,
    last: number,
  ): Promise<DeliveredChannel> {
    const messages: Buffer[] = [];
    const client = await RawClient.open(natsUrl, clusterId);
    const clientId = `reader-of-${channel.replaceAll('.', '-')}`;
    const inbox = `read.${channel}`;
    try {
      await client.join(clientId);
      client.nats.subscribe(inbox, {
        callback: (_error, { data }) => void messages.push(Buffer.from(data)),
      });
      const { error } = await client.requestSubscription({
        ...{ clientId, subject: channel, inbox, startPosition: StartPosition.FIRST },
        ...{ ackWaitSeconds: 30, maxInFlight: 10_000 },
      });
      if (error !== '') throw new Error(error);
      await waitFor(
        () => sequenceOf(messages.at(-1)) === last,
        () => `message ${last} of ${channel} is read; the last one is ${sequenceOf(messages.at(-1))}`,
      );
      await client.close(clientId);
    } finally {
      await client.drop();
    }
    return new DeliveredChannel(messages);
  }

  get first(): number {
    return sequenceOf(this.#messages[0]);
  }

  get texts(): string[] {
    return this.#messages.map((bytes) => Buffer.from(decodeMsgProto(bytes).data).toString());
  }

  /** The hash of the messages up to this one, one after the other. */
  sha256(last: number): string {
    const upTo = this.#messages.filter((bytes) => sequenceOf(bytes) <= last);
    return createHash('sha256').update(Buffer.concat(upTo)).digest('hex');
  }
}

/** 0: there is none. */
function sequenceOf(message: Buffer | undefined): number {
  return message === undefined ? 0 : decodeMsgProto(message).sequence;
}
