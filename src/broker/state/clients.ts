import { assert } from '../../util/assert.js';
import { ByteMap } from '../../util/byte-map.js';
import type { ClientSession } from './client-session.js';

/** The connected clients: by client id, and by connection id as clients of protocol level 1 send it. */
export class Clients {
  readonly #byId = new Map<string, ClientSession>();
  readonly #byIdBytes: ByteMap<ClientSession>;
  readonly #byConnId: ByteMap<ClientSession>;

  constructor(hashSeed: number) {
    this.#byIdBytes = new ByteMap(hashSeed);
    this.#byConnId = new ByteMap(hashSeed);
  }

  get size(): number {
    return this.#byId.size;
  }

  all(): IterableIterator<ClientSession> {
    return this.#byId.values();
  }

  get(clientId: string): ClientSession | undefined {
    return this.#byId.get(clientId);
  }

  /**
   * The client that a message comes from. A connection id decides alone if there is one: a replaced client that still
   * publishes under its client id is not the one that replaced it.
   */
  find(
    buffer: Buffer,
    clientIdStart: number,
    clientIdEnd: number,
    connIdStart: number,
    connIdEnd: number,
  ): ClientSession | undefined {
    if (connIdEnd > connIdStart) return this.#byConnId.get(buffer, connIdStart, connIdEnd);
    const client = this.#byIdBytes.get(buffer, clientIdStart, clientIdEnd);
    return client?.provesRequests === true ? undefined : client;
  }

  byConnId(connId: Uint8Array): ClientSession | undefined {
    return connId.length === 0 ? undefined : this.#byConnId.get(Buffer.from(connId), 0, connId.length);
  }

  add(client: ClientSession): void {
    this.#byId.set(client.id, client);
    this.#byIdBytes.setKept(Buffer.from(client.id), client);
    const connId = Buffer.from(client.record.connId);
    if (connId.length > 0) this.#byConnId.setKept(connId, client);
  }

  remove(client: ClientSession): void {
    assert(this.#byId.get(client.id) === client, 'a session that ends is the one of its client id');
    this.#byId.delete(client.id);
    const id = Buffer.from(client.id);
    this.#byIdBytes.delete(id, 0, id.length);
    const connId = Buffer.from(client.record.connId);
    if (this.byConnId(connId) === client) this.#byConnId.delete(connId, 0, connId.length);
  }
}
