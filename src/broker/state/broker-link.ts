import type { OutBuffer } from '../../link/writer.js';

/** What the broker needs of a link: one NATS connection's life. */
export interface BrokerLink {
  /** The server's limit on a payload, in bytes. */
  readonly maxPayload: number;
  /** So much waits for the server to take it that nothing should be added but answers. */
  readonly isCongested: boolean;
  /** @returns the id that messages of this subscription bear */
  subscribe(subject: string): number;
  /** Ends a subscription. Messages that are under way may still come. */
  unsubscribe(sid: number): void;
  /** Resolves when the server has processed everything before. Rejects if the link goes down. */
  flush(): Promise<void>;
  takeBuffer(): OutBuffer;
  /** Takes the buffer over. Dropped if the link is down, or if the buffer is another link's. */
  send(out: OutBuffer): void;
}
