import { once } from 'node:events';
import net from 'node:net';

/** The direction of bytes: from the broker to its NATS server, or back. */
export type Way = 'toServer' | 'toBroker';

/**
 * What becomes of the bytes: they are read and dropped; not read any more; passed one by one; passed as slowly as so many bytes a second;
 * passed up to so many, then dropped.
 */
export type Fault = 'swallow' | 'block' | 'trickle' | { bytesPerSecond: number } | { swallowAfter: number };

export interface FaultRule {
  /** Of the two connections of a broker. */
  readonly on: 'data' | 'control' | 'both';
  readonly way: Way | 'both';
  readonly fault: Fault;
  /** Whether connections have it that are made later. */
  readonly isForNew?: boolean;
}

const TRICKLE_MS = 100;
const PACE_MS = 10;

/** A TCP proxy between a broker and its NATS server, which does one of them wrong, or both, and looks well. */
export class FaultProxy {
  readonly #listener: net.Server;
  readonly #serverPort: number;
  readonly #pairs = new Set<Pair>();
  #rule: FaultRule | undefined;
  /** Whether new connections are accepted, and nothing more is heard of them. */
  isDeaf = false;

  private constructor(listener: net.Server, serverPort: number) {
    this.#listener = listener;
    this.#serverPort = serverPort;
    listener.on('connection', (broker) => this.#join(broker));
  }

  static async start(serverPort: number): Promise<FaultProxy> {
    const listener = net.createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new FaultProxy(listener, serverPort);
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.address() as net.AddressInfo).port}`;
  }

  /** From now on. */
  fail(rule: FaultRule): void {
    this.#rule = rule.isForNew === true ? rule : undefined;
    for (const pair of this.#pairs) pair.rule = rule;
  }

  /** Ends all connections. New ones are accepted. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.end();
  }

  async stop(): Promise<void> {
    for (const pair of this.#pairs) pair.end();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(broker: net.Socket): void {
    if (this.isDeaf) {
      broker.on('error', () => {}).resume();
      this.#listener.once('close', () => broker.destroy());
      return;
    }
    const pair = new Pair(broker, net.connect(this.#serverPort, '127.0.0.1'), this.#rule);
    this.#pairs.add(pair);
    broker.once('close', () => this.#pairs.delete(pair));
  }
}

class Pair {
  rule: FaultRule | undefined;
  readonly #broker: net.Socket;
  readonly #server: net.Socket;
  /** Known by its CONNECT. */
  #kind: 'data' | 'control' | undefined;

  constructor(broker: net.Socket, server: net.Socket, rule: FaultRule | undefined) {
    this.#broker = broker;
    this.#server = server;
    this.rule = rule;
    for (const socket of [broker, server]) {
      socket.setNoDelay(true).on('error', () => {});
      socket.on('close', () => this.end());
    }
    broker.once('data', (connect: Buffer) => {
      this.#kind = connect.includes('(control)') ? 'control' : 'data';
    });
    this.#carry(broker, server, 'toServer');
    this.#carry(server, broker, 'toBroker');
  }

  end(): void {
    this.#broker.destroy();
    this.#server.destroy();
  }

  #faultOf(way: Way): Fault | undefined {
    const { rule } = this;
    if (rule === undefined || this.#kind === undefined) return undefined;
    const isMeant =
      (rule.on === 'both' || rule.on === this.#kind) && (rule.way === 'both' || rule.way === way);
    return isMeant ? rule.fault : undefined;
  }

  #carry(from: net.Socket, to: net.Socket, way: Way): void {
    let carried = 0;
    let isWaiting = false;
    const write = (chunk: Buffer): void => void (to.destroyed || to.write(chunk));
    /** Passes a part now and then, and reads no more meanwhile. */
    const pace = (chunk: Buffer, bytes: number, everyMs: number): void => {
      isWaiting = true;
      from.pause();
      write(chunk.subarray(0, bytes));
      const rest = chunk.subarray(bytes);
      setTimeout(() => {
        isWaiting = false;
        if (rest.length > 0) take(rest);
        else from.resume();
      }, everyMs).unref();
    };
    const take = (chunk: Buffer): void => {
      carried += chunk.length;
      const fault = this.#faultOf(way);
      if (fault === undefined) {
        write(chunk);
        if (from.isPaused()) from.resume();
      } else if (fault === 'block') from.pause();
      else if (fault === 'trickle') pace(chunk, 1, TRICKLE_MS);
      else if (fault === 'swallow') return;
      else if ('bytesPerSecond' in fault) pace(chunk, (fault.bytesPerSecond * PACE_MS) / 1_000, PACE_MS);
      else if (carried <= fault.swallowAfter) write(chunk);
    };
    from.on('data', (chunk: Buffer) => {
      if (!isWaiting) take(chunk);
    });
  }
}
