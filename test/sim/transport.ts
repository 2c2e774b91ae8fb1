import { LinkWatch } from '../../src/broker/check/link-watch.js';
import type { ClientPinger } from '../../src/broker/handlers/client-pinger.js';
import type { GroupSubjects } from '../../src/group/talk/group-subjects.js';
import type { NatsTransport, TransportHandler, TransportLink } from '../../src/group/talk/nats-transport.js';
import { SERVERS, SimConnection, SimLink, type SimMessage, type SimNats } from './nats.js';
import type { SimProcess } from './process.js';

const CONNECT_MS = [5, 100] as const;
const RETRY_MS = 100;
const MARK_MS = 1;

/** Which of the two connections no longer carries what is sent, or what comes. */
export interface OneWay {
  on: 'data' | 'talk';
  way: 'send' | 'receive';
  /** Connections that are made later have it too. */
  isForNew: boolean;
}

export interface SimTransportOptions {
  nats: SimNats;
  process: SimProcess;
  subjects: GroupSubjects;
  /** Those that it connects to; all if undefined. */
  servers: readonly number[] | undefined;
  handler: () => TransportHandler;
  onHandOver: (payload: Uint8Array) => void;
  /** What it tells the other members, whether they hear it or not. */
  onSay: (payload: Uint8Array) => void;
}

/** A member's transport in the simulated NATS: it finds a server for ever, unless it is cut off from all. */
export class SimTransport implements NatsTransport {
  link: TransportLink | undefined;
  server = '';
  readonly pinger: ClientPinger = { ping: (inbox, timeoutMs) => this.#ping(inbox, timeoutMs) };
  readonly #options: SimTransportOptions;
  #link: SimLink | undefined;
  #askedOn: { talk: SimConnection; flush(): Promise<void> } | undefined;
  #data: SimConnection | undefined;
  #talk: SimConnection | undefined;
  readonly #watch: LinkWatch;
  #oneWay: OneWay | undefined;
  #isIsolated = false;
  #pings = 0;

  constructor(options: SimTransportOptions) {
    this.#options = options;
    const transport = this;
    this.#watch = new LinkWatch({
      clock: options.process.clock,
      connections: {
        get link() {
          return transport.#link;
        },
        get control() {
          const talk = transport.#talk;
          return talk === undefined || !talk.isUp ? undefined : transport.#asked(talk);
        },
        get server() {
          return transport.server;
        },
        renewLink: (why) => this.leaveServer(why),
        renewControl: (why) => this.leaveServer(why),
      },
      mark: (name) => {
        const [talk, data] = [this.#talk, this.#data];
        if (talk?.isWell !== true) return;
        options.process.after(MARK_MS, () => data?.isDeaf === false && data.isUp && this.#watch.marked(name));
      },
      onChanged: () => {},
    });
  }

  start(): void {
    this.#watch.start();
    this.#connect();
  }

  /** One object for each connection, as the watch tells them apart. */
  #asked(talk: SimConnection): { flush(): Promise<void> } {
    if (this.#askedOn?.talk !== talk) this.#askedOn = { talk, flush: () => talk.ping() };
    return this.#askedOn;
  }

  /** From now on one connection carries one way only. */
  breakOneWay(oneWay: OneWay): void {
    this.#oneWay = oneWay;
    for (const on of ['data', 'talk'] as const) {
      const connection = on === 'data' ? this.#data : this.#talk;
      if (connection !== undefined) afflict(connection, on, oneWay);
    }
  }

  say(payload: Uint8Array): void {
    const { subjects, onSay } = this.#options;
    onSay(payload);
    this.#talk?.publish(subjects.talk, Buffer.from(payload));
  }

  leaveServer(why: string): void {
    this.#talk?.close();
    this.#data?.drop(why);
  }

  /** Nothing is refused here. */
  renewControl(): void {}

  /** @param kind how it shows: connections break, or carry nothing */
  isolate(kind: 'reset' | 'silent'): void {
    this.#isIsolated = true;
    if (kind === 'reset') this.leaveServer('connection reset');
    else
      for (const connection of [this.#data, this.#talk])
        if (connection !== undefined) connection.isSilent = true;
  }

  heal(): void {
    this.#isIsolated = false;
    this.#oneWay = undefined;
    // What was silent for so long is found broken.
    if (this.#data?.isWell === false || this.#talk?.isWell === false)
      this.leaveServer('connection timed out');
  }

  #connect(): void {
    const { nats, process, subjects, servers } = this.#options;
    const { world } = nats;
    process.after(world.between(...CONNECT_MS), () => {
      const server = servers === undefined ? world.random.below(SERVERS) : world.random.pick(servers)!;
      // What is swallowed is missed in the login already.
      if (this.#isIsolated || !nats.isUp(server) || this.#oneWay?.isForNew === true) {
        process.after(RETRY_MS, () => this.#connect());
        return;
      }
      this.server = `nats-${server}:4222`;
      const talk = new SimConnection(nats, server, process, () => {});
      this.#talk = talk;
      talk.subscribe(subjects.talk, (_, { payload }) => this.#options.handler().onGroupMessage(payload));
      talk.subscribe(subjects.handover, (_, { payload }) => this.#options.onHandOver(payload));
      const data = new SimConnection(nats, server, process, (reason) => this.#lost(reason));
      this.#data = data;
      const link = new SimLink(data, (sid, message) => hand(link, sid, message));
      this.link = this.#link = link;
      this.#options.handler().onLinkUp(link);
    });
  }

  #lost(reason: string): void {
    this.link = this.#link = undefined;
    this.#talk?.close();
    this.#options.handler().onLinkDown(reason);
    this.#connect();
  }

  #ping(inbox: string, timeoutMs: number): Promise<boolean> {
    const { process } = this.#options;
    const data = this.#data;
    if (data === undefined || !data.isUp) return Promise.resolve(false);
    return new Promise((resolve) => {
      const reply = `_R.${process.name}.${++this.#pings}`;
      const sid = data.subscribe(reply, () => {
        data.unsubscribe(sid);
        resolve(true);
      });
      data.publish(inbox, Buffer.alloc(0), reply);
      process.clock.setTimer(timeoutMs, () => {
        data.unsubscribe(sid);
        resolve(false);
      });
    });
  }
}

function afflict(connection: SimConnection, on: OneWay['on'], oneWay: OneWay): void {
  if (on !== oneWay.on) return;
  if (oneWay.way === 'send') connection.isMute = true;
  else connection.isDeaf = true;
}

/** As the link does: one buffer, offsets into it, that are good during the call only. */
function hand({ handler }: SimLink, sid: number, { subject, reply, payload }: SimMessage): void {
  const buffer = Buffer.concat([Buffer.from(subject), Buffer.from(reply), payload]);
  const replyStart = Buffer.byteLength(subject);
  const start = replyStart + Buffer.byteLength(reply);
  handler.onMessage(sid, buffer, 0, replyStart, replyStart, start, start, buffer.length);
  buffer.fill(0x21);
  handler.onBatchEnd();
}
