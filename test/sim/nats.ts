import type { TransportLink } from '../../src/group/talk/nats-transport.js';
import { DROP_ALL, type LinkHandler } from '../../src/link/link-handler.js';
import { Pings } from '../../src/link/pings.js';
import { OutBuffer } from '../../src/link/writer.js';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

export const SERVERS = 3;

export interface SimMessage {
  subject: string;
  reply: string;
  payload: Buffer;
  /** Of which lease of which process it comes. */
  origin: string;
  /** The number of the connection that it was sent on. */
  connection: number;
}

interface Interest {
  sid: number;
  pattern: string;
  /** When servers know of it: its own, and the others. */
  ownAtMs: number;
  routedAtMs: number;
  onMessage: (sid: number, message: SimMessage) => void;
}

/** As a link sends its pings. */
const PULSE_MS = 250;
const PING_MS = 0.3;
const HOP_MS = [0.05, 0.5] as const;
const SLOW_HOP_MS = [1, 60] as const;

/** NATS: servers joined by routes, that carry each message once or not at all. */
export class SimNats {
  readonly connections = new Set<SimConnection>();
  readonly world: World;
  connectionsMade = 0;
  /** Pairs of servers whose route is cut. */
  readonly #cutRoutes = new Set<string>();
  /** What a route takes beside its hop, milliseconds. */
  readonly #routeDelaysMs = new Map<string, number>();
  readonly #downServers = new Set<number>();

  constructor(world: World) {
    this.world = world;
  }

  cutRoute(a: number, b: number): void {
    this.#cutRoutes.add(routeOf(a, b));
  }

  slowRoute(a: number, b: number, delayMs: number): void {
    this.#routeDelaysMs.set(routeOf(a, b), delayMs);
  }

  healRoutes(): void {
    this.#cutRoutes.clear();
    this.#routeDelaysMs.clear();
  }

  stopServer(server: number): void {
    this.#downServers.add(server);
    for (const connection of [...this.connections])
      if (connection.server === server) connection.drop('its server has stopped');
  }

  startServers(): void {
    this.#downServers.clear();
  }

  isUp(server: number): boolean {
    return !this.#downServers.has(server);
  }

  reaches(a: number, b: number): boolean {
    return a === b || !this.#cutRoutes.has(routeOf(a, b));
  }

  /** From a connection that is up to all that want it. */
  publish(from: SimConnection, message: SimMessage): void {
    const { world } = this;
    if (from.isSilent || from.isMute) {
      world.count('message swallowed');
      return;
    }
    const leftMs = this.hop();
    for (const to of this.connections) {
      if (!this.reaches(from.server, to.server)) continue;
      const atMs = Math.max(
        world.nowMs + leftMs + this.#routeMs(from.server, to.server),
        to.lastFrom.get(from) ?? 0,
      );
      let isWanted = false;
      for (const interest of to.interests.values())
        if (matches(interest.pattern, message.subject)) isWanted = true;
      if (!isWanted) continue;
      to.lastFrom.set(from, atMs);
      const isRouted = from.server !== to.server;
      world.after(atMs - world.nowMs, () => to.arrived(message, isRouted));
    }
  }

  #routeMs(from: number, to: number): number {
    return from === to ? 0 : this.hop() + (this.#routeDelaysMs.get(routeOf(from, to)) ?? 0);
  }

  hop(): number {
    const { world } = this;
    return world.chance(0.01) ? world.between(...SLOW_HOP_MS) : world.between(...HOP_MS);
  }
}

function routeOf(a: number, b: number): string {
  return `${Math.min(a, b)}-${Math.max(a, b)}`;
}

export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const last = pattern.at(-1);
  if (last !== '>' && last !== '*') return false;
  const prefix = pattern.slice(0, -1);
  if (!subject.startsWith(prefix) || subject.length === prefix.length) return false;
  return last === '>' || !subject.slice(prefix.length).includes('.');
}

/** One TCP connection to one server. When it is gone, another one is made. */
export class SimConnection {
  readonly nats: SimNats;
  /** Later ones have higher numbers. */
  readonly number: number;
  readonly server: number;
  readonly process: SimProcess;
  readonly interests = new Map<number, Interest>();
  /** What comes from one connection to another keeps its order. */
  readonly lastFrom = new Map<SimConnection, number>();
  isUp = true;
  /** It looks well and carries nothing. */
  isSilent = false;
  /** It looks well, and what is sent on it arrives nowhere; or what comes does not arrive here. */
  isMute = false;
  isDeaf = false;
  receivedBytes = 0;
  #nextSid = 1;
  readonly #onDown: (reason: string) => void;

  constructor(nats: SimNats, server: number, process: SimProcess, onDown: (reason: string) => void) {
    this.nats = nats;
    this.number = ++nats.connectionsMade;
    this.server = server;
    this.process = process;
    this.#onDown = onDown;
    nats.connections.add(this);
  }

  subscribe(pattern: string, onMessage: Interest['onMessage']): number {
    const { world } = this.nats;
    const sid = this.#nextSid++;
    const ownAtMs = world.nowMs + this.nats.hop();
    this.interests.set(sid, { sid, pattern, ownAtMs, routedAtMs: ownAtMs + this.nats.hop(), onMessage });
    return sid;
  }

  unsubscribe(sid: number): void {
    this.interests.delete(sid);
  }

  publish(subject: string, payload: Buffer, reply = ''): void {
    this.process.strike('send');
    const message = { subject, reply, payload, origin: this.process.origin(), connection: this.number };
    // Struck in the middle of its work, it says the rest when it wakes up.
    this.process.deliver(() => {
      if (this.isUp) this.nats.publish(this, message);
    });
  }

  flush(): Promise<void> {
    if (!this.isUp) return Promise.reject(new Error('no connection'));
    return new Promise((resolve, reject) => {
      const { world } = this.nats;
      const look = (): void => {
        if (!this.isUp) reject(new Error('the connection is gone'));
        else if (!this.isWell) world.after(100, look);
        else this.process.deliver(resolve);
      };
      world.after(this.nats.hop() * 2, look);
    });
  }

  get isWell(): boolean {
    return !this.isSilent && !this.isMute && !this.isDeaf;
  }

  /** As `flush`, and takes nothing from the run's chance. Resolves never if something of it is swallowed. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      const { world } = this.nats;
      if (this.isSilent || this.isMute) return;
      world.after(PING_MS, () => {
        if (this.isUp && !this.isSilent && !this.isDeaf) this.process.deliver(resolve);
      });
    });
  }

  /** The server hands a message over. */
  arrived(message: SimMessage, isRouted: boolean): void {
    const { world } = this.nats;
    if (!this.isUp || this.isSilent || this.isDeaf) return;
    this.process.deliver(() => {
      if (!this.isUp) return;
      this.receivedBytes += message.payload.length;
      for (const interest of [...this.interests.values()]) {
        if (world.nowMs < (isRouted ? interest.routedAtMs : interest.ownAtMs)) continue;
        if (matches(interest.pattern, message.subject)) interest.onMessage(interest.sid, message);
      }
    });
  }

  /** It breaks: both ends are told, what was on its way is lost. */
  drop(reason: string): void {
    if (!this.isUp) return;
    this.close();
    this.process.deliver(() => this.#onDown(reason));
  }

  close(): void {
    this.isUp = false;
    this.nats.connections.delete(this);
  }
}

/** The data link over a connection, as brokers use it. */
export class SimLink implements TransportLink {
  readonly maxPayload = 1024 * 1024;
  readonly isCongested = false;
  /** Gets what comes in. */
  handler = DROP_ALL;
  readonly pulse: Pings;
  #sentBytes = 0;
  readonly #connection: SimConnection;
  readonly #onMessage: (sid: number, message: SimMessage) => void;

  constructor(connection: SimConnection, onMessage: (sid: number, message: SimMessage) => void) {
    this.#connection = connection;
    this.#onMessage = onMessage;
    const { clock } = connection.process;
    this.pulse = new Pings(clock);
    const pulse = (): void => {
      if (!connection.isUp) return;
      clock.setTimer(PULSE_MS, pulse);
      this.pulse.sent(this.#sentBytes, undefined);
      void connection.ping().then(() => this.pulse.answered());
    };
    pulse();
  }

  get receivedBytes(): number {
    return this.#connection.receivedBytes;
  }

  handOverTo(handler: LinkHandler): void {
    this.handler = handler;
  }

  subscribe(subject: string): number {
    return this.#connection.subscribe(subject, this.#onMessage);
  }

  unsubscribe(sid: number): void {
    this.#connection.unsubscribe(sid);
  }

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  takeBuffer(): OutBuffer {
    return new OutBuffer();
  }

  send(out: OutBuffer): void {
    const bytes = out.buf.subarray(0, out.length);
    this.#sentBytes += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const lineEnd = bytes.indexOf('\r\n', at);
      const words = bytes.toString('latin1', at, lineEnd).split(' ');
      const size = Number(words.at(-1));
      const start = lineEnd + 2;
      const payload = Buffer.from(bytes.subarray(start, start + size));
      this.#connection.publish(words[1]!, payload, words.length > 3 ? words[2] : '');
      at = start + size + 2;
    }
  }
}
