import { once } from 'node:events';
import net from 'node:net';

/** A TCP proxy in front of a nats-server, which can hold back what the server says: its INFO comes late then, or never. */
export class HoldingProxy {
  readonly #listener: net.Server;
  readonly #serverPort: number;
  readonly #pairs = new Set<{ client: net.Socket; server: net.Socket; isHeld: boolean }>();
  #isHolding = false;
  #heldCount = 0;

  private constructor(listener: net.Server, serverPort: number) {
    this.#listener = listener;
    this.#serverPort = serverPort;
    listener.on('connection', (client) => this.#join(client));
  }

  static async start(serverPort: number): Promise<HoldingProxy> {
    const listener = net.createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new HoldingProxy(listener, serverPort);
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.address() as net.AddressInfo).port}`;
  }

  /** Connections that were held so far. */
  get heldCount(): number {
    return this.#heldCount;
  }

  /** Those of them that are open and held. */
  get openHeldCount(): number {
    return [...this.#pairs].filter(({ isHeld }) => isHeld).length;
  }

  /** Whether connections that are made from now on are held. */
  hold(isHolding: boolean): void {
    this.#isHolding = isHolding;
  }

  /** Those that are held get what the server has said, and are ended behind it. */
  async releaseAndEnd(): Promise<void> {
    const held = [...this.#pairs].filter(({ isHeld }) => isHeld);
    await Promise.all(
      held.map(async ({ client, server }) => {
        const closed = once(client, 'close');
        server.once('data', (said) => client.end(said));
        await closed;
      }),
    );
  }

  /** Ends the connections that are there. */
  cut(): void {
    for (const { client } of this.#pairs) client.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(client: net.Socket): void {
    const server = net.connect(this.#serverPort, '127.0.0.1');
    const pair = { client, server, isHeld: this.#isHolding };
    this.#pairs.add(pair);
    if (pair.isHeld) this.#heldCount++;
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', end).on('close', end);
    }
    client.pipe(server);
    if (!pair.isHeld) server.pipe(client);
  }
}
