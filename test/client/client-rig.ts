import { after, afterEach } from 'node:test';
import { type ConnectOptions, connect, type StanConnection } from '../../src/index.js';
import { decodeCloseResponse, decodePing, encodeCloseRequest } from '../../src/protocol/messages.js';
import { Rig, type RigOptions } from '../harness/rig.js';

/** A nats-server, a broker, and connections of the library that are closed after each test. */
export class ClientRig {
  readonly rig: Rig;
  readonly #connections: StanConnection[] = [];

  constructor(options: RigOptions = { store: 'memory' }) {
    const close = async (): Promise<void> => {
      for (const connection of this.#connections.splice(0)) await connection.close().catch(() => {});
    };
    afterEach(close);
    after(close);
    this.rig = new Rig(options);
  }

  async connect(options: Partial<ConnectOptions> = {}): Promise<StanConnection> {
    const { broker, nats } = this.rig;
    const hasNats = options.natsConnection !== undefined;
    const connection = await connect({
      clusterId: broker.clusterId,
      clientId: this.rig.name('client'),
      ...(!hasNats && { servers: nats.url }),
      ...options,
    });
    this.#connections.push(connection);
    return connection;
  }

  /** Closes a client at the broker, in its name and without its knowledge. It has to send pings, which show its connection id. */
  async closeAtBroker({ clientId }: StanConnection): Promise<void> {
    const raw = await this.rig.raw();
    const isClosed = async (connId: Uint8Array): Promise<boolean> => {
      const answer = await raw.request(raw.subjects.close, encodeCloseRequest({ clientId, connId }));
      return decodeCloseResponse(answer).error === '';
    };
    for await (const { data } of raw.nats.subscribe(raw.subjects.pings)) {
      if (await isClosed(decodePing(data).connId)) return;
    }
  }

  channel(): string {
    return this.rig.name('channel');
  }
}

/** The texts of the next messages. */
export async function texts(messages: AsyncIterator<{ string(): string }>, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const next = await messages.next();
    if (next.done) break;
    found.push(next.value.string());
  }
  return found;
}

/** Whether a promise has ended by now. */
export function watch(promise: Promise<unknown>): () => boolean {
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
  };
  promise.then(end, end);
  return () => hasEnded;
}
