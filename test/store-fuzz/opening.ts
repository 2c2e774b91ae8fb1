import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/clock/clock.js';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs } from '../../src/files/fs.js';
import { testFileSystem } from '../../src/files/self-test.js';
import { activeService } from '../../src/group/roles/active-service.js';
import { Member } from '../../src/group/roles/member.js';
import { GroupClocks } from '../../src/group/talk/group-clocks.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { GroupTalk } from '../../src/group/talk/group-talk.js';
import type { NatsTransport, TransportHandler, TransportLink } from '../../src/group/talk/nats-transport.js';
import { candidateLock } from '../../src/lease/candidate-lock.js';
import { Lease } from '../../src/lease/lease.js';
import { startQuickRenewer } from '../../src/lease/lease-renewer.js';
import { OutBuffer } from '../../src/link/writer.js';
import type { Logger } from '../../src/log/logger.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';
import { openLoneStore } from '../../src/run/open-lone-store.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import type { FileStoreOptions } from '../../src/store/file/file-store-options.js';
import { checkIdentity } from '../../src/store/file/identity.js';
import { waitFor } from '../harness/wait.js';

export const CLUSTER_ID = 'c';
const GROUP = 'g';
const MIB = 1024 * 1024;
const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };
/** How much sooner than due a timer ends. */
const HASTE = 20;
const LEASE_MS = 600;

/** The machine's clock, with timers that end soon: no case waits for a second. */
export const hastyClock: Clock = {
  ...systemClock,
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs / HASTE, callback),
};

/** So small that a few hundred messages go through every part of a store, and that reserves are copied in no time. */
export const SMALL_STORE = {
  fs: nodeFs,
  random: randomBytes,
  clusterId: CLUSTER_ID,
  journalBytes: 1024 * 1024,
  checkpointBytes: 1024 * 1024,
  blockBytes: 64 * 1024,
  cacheBytes: 64 * 1024,
  loadedBytes: 64 * 1024,
  maxOpenSegments: 4,
  // Messages are refused that the segment set aside could not hold.
  sizes: { log: ROOM, ckpt: ROOM, seg: { count: 1, leastCount: 1, bytes: 3 * MIB, leastBytes: MIB } },
} satisfies Partial<FileStoreOptions>;

/** A store that a broker has opened. */
export interface OpenedStore {
  readonly store: FileStore;
  /** What its log has warned of. */
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/** How a store is opened: by a broker alone, or by a member of a group that takes over. */
export type Opener = 'alone' | 'member';
export const OPENERS: readonly Opener[] = ['alone', 'member'];

let processes = 0;

/** Opens a store as a lone broker does. @throws what its opening throws */
export async function openAlone(dir: string, clock: Clock = hastyClock): Promise<OpenedStore> {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const pid = ++processes;
  const store = await openLoneStore({
    clock,
    store: { ...SMALL_STORE, dir, warn },
    lease: {
      lease: new Lease(nodeFs, dir),
      lock: candidateLock(nodeFs, dir, warn),
      startRenewer: startQuickRenewer,
      // Every former process is gone.
      processes: { self: async () => ({ host: 'h', pid, start: 's' }), isDead: async () => true },
      nodeName: 'alone',
      onLost: () => {},
    },
  });
  return { store, warnings, close: () => store.close() };
}

/** Members that hear each other. */
export class Talk {
  readonly #handlers = new Set<TransportHandler>();

  join(handler: TransportHandler): void {
    this.#handlers.add(handler);
  }

  leave(handler: TransportHandler): void {
    this.#handlers.delete(handler);
  }

  say(payload: Uint8Array): void {
    const copy = Buffer.from(payload);
    for (const handler of this.#handlers)
      setImmediate(() => {
        if (this.#handlers.has(handler)) handler.onGroupMessage(copy);
      });
  }
}

/** A NATS where all goes well, and no client says anything. */
class QuietTransport implements NatsTransport {
  readonly server = 'quiet:4222';
  readonly pinger = { ping: async () => true };
  readonly link: TransportLink;
  readonly #talk: Talk;

  constructor(talk: Talk) {
    this.#talk = talk;
    let sid = 0;
    this.link = {
      maxPayload: 1024 * 1024,
      isCongested: false,
      subscribe: () => ++sid,
      unsubscribe: () => {},
      flush: async () => {},
      takeBuffer: () => new OutBuffer(),
      send: () => {},
      handOverTo: () => {},
    };
  }

  say(payload: Uint8Array): void {
    this.#talk.say(payload);
  }

  leaveServer(): void {}
  renewControl(): void {}
}

/** A member of a group on a store, in this process. */
export class FuzzMember {
  readonly member: Member;
  /** What the store has warned of. */
  readonly warnings: string[] = [];
  /** What else was logged. */
  readonly said: string[] = [];
  /** The last error of an opening. */
  refusal: Error | undefined;
  #fatal: Error | undefined;
  readonly #talk: Talk;
  readonly #transport: QuietTransport;
  #keepAlive: NodeJS.Timeout | undefined;
  readonly #holder: string;

  constructor(dir: string, talk: Talk, clock: Clock = hastyClock) {
    this.#talk = talk;
    const pid = ++processes;
    this.#holder = `n${pid}@h@${pid}@s`;
    const say = (_: unknown, message: string): void => void this.said.push(message);
    const log: Logger = { debug: () => {}, info: () => {}, warn: say, error: say, child: () => log };
    const warn = (message: string): void => void this.warnings.push(message);
    const clocks = new GroupClocks(clock, log);
    const transport = new QuietTransport(talk);
    this.#transport = transport;
    const open = activeService({
      store: {
        ...SMALL_STORE,
        dir,
        clock,
        isTested: true,
        believed: clocks.believed,
        continued: () => clocks.continued(),
        warn,
      },
      broker: {
        options: {
          clusterId: CLUSTER_ID,
          discoverPrefix: '_STAN.discover',
          heartbeatIntervalMs: 600_000,
          heartbeatTimeoutMs: 600_000,
          heartbeatFailCount: 1000,
          maxChannels: 100,
          limitsFor: () => ({
            maxMessages: 0,
            maxBytes: 0,
            maxAgeMs: 0,
            maxSubscriptions: 0,
            maxInactivityMs: 0,
          }),
          maxPendingBytes: 64 * 1024 * 1024,
          replaceDurable: false,
        },
        clock,
        log,
        pinger: transport.pinger,
        hashSeed: 1,
        random: randomBytes,
        defer: setImmediate,
      },
    });
    this.member = new Member(
      {
        options: { name: GROUP, nodeName: `n${pid}`, leaseMs: LEASE_MS },
        holder: this.#holder,
        dir,
        clock,
        clocks,
        talk: new GroupTalk({
          ...{ clock, log, holder: this.#holder },
          subjects: groupSubjects(CLUSTER_ID, GROUP),
          boot: randomBytes(8).toString('hex'),
        }),
        log,
        lease: new Lease(nodeFs, dir),
        lock: candidateLock(nodeFs, dir, warn),
        startRenewer: startQuickRenewer,
        isDead: async (holder) => !living.has(holder),
        readIdentity: () => checkIdentity(nodeFs, dir, CLUSTER_ID),
        testStore: (epoch) => testFileSystem(nodeFs, dir, epoch, randomBytes(6).toString('hex')),
        transport,
        openService: (term) =>
          open(term).catch((error: Error) => {
            this.refusal = error;
            throw error;
          }),
      },
      stanSubjects(CLUSTER_ID),
    );
    living.add(this.#holder);
    this.member.onFatal = (error) => {
      this.#fatal = error;
    };
  }

  /** @throws what keeps it from joining its group */
  async start(): Promise<void> {
    // The clock's timers do not keep a process alive.
    this.#keepAlive = setInterval(() => {}, 1000);
    this.#talk.join(this.member.handler);
    this.member.handler.onLinkUp(this.#transport.link);
    await this.member.start();
  }

  /** @throws what keeps it from being active */
  async isActive(): Promise<FileStore> {
    await waitFor(
      () => {
        const error = this.#fatal ?? this.refusal;
        if (error !== undefined) throw error;
        return this.member.role === 'active';
      },
      () =>
        `a member is active; it is ${this.member.role}, ${this.member.health.problem}; ${this.said.join('; ')}`,
      10_000,
    );
    return this.member.broker!.store as FileStore;
  }

  async stop(): Promise<void> {
    await this.member.stop();
    clearInterval(this.#keepAlive);
    this.#talk.leave(this.member.handler);
    living.delete(this.#holder);
  }
}

/** The holders that run. */
const living = new Set<string>();

/** Opens a store as a member does that takes over. @throws what keeps it from serving */
export async function openAsMember(dir: string): Promise<OpenedStore> {
  const member = new FuzzMember(dir, new Talk());
  try {
    await member.start();
    const store = await member.isActive();
    return { store, warnings: member.warnings, close: () => member.stop() };
  } catch (error) {
    await member.stop();
    throw error;
  }
}

export function openAs(opener: Opener, dir: string): Promise<OpenedStore> {
  return opener === 'alone' ? openAlone(dir) : openAsMember(dir);
}
