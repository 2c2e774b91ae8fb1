import { Broker } from '../../src/broker/broker.js';
import type { StoreFs } from '../../src/files/fs.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import type { TransportHandler, TransportLink } from '../../src/group/talk/nats-transport.js';
import { type StartRenewer, startQuickRenewer } from '../../src/lease/lease-renewer.js';
import { holderOf, type ProcessIdentity } from '../../src/lease/process-identity.js';
import { openLoneStore } from '../../src/run/open-lone-store.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import {
  BROKER_OPTIONS,
  CLUSTER_ID,
  Machine,
  Machines,
  type MachinesOptions,
  SMALL_STORE,
} from './machine.js';
import type { Host } from './mount.js';
import type { SimProcess } from './process.js';
import { SimTransport } from './transport.js';
import type { World } from './world.js';

const LAST_FLUSH_MS = 1_000;
const RESTART_MS = 500;

/** Machines with a broker each that is in no group, all of them on one store: one has it, the others end and are started again. */
export class LoneBrokers extends Machines {
  readonly nodes: readonly LoneNode[];
  /** Why processes ended that were not asked to. */
  readonly ends: { process: string; error: Error }[] = [];
  #newestEpoch = 0;

  /** @param count of machines. Default 2 */
  constructor(world: World, options: MachinesOptions, count = 2) {
    super(world, options);
    const host = this.hosts();
    this.nodes = Array.from(
      { length: count },
      (_, i) => new LoneNode(this, `${options.prefix ?? 'n'}${i}`, host()),
    );
  }

  get active(): LoneNode | undefined {
    return this.nodes.find((node) => node.isServing);
  }

  ended(process: string, error: Error): void {
    this.ends.push({ process, error });
    if (error.message.includes(`taken over by ${process}`)) this.problem(`${process} ends: ${error.message}`);
  }

  /** A renewer whose fences are looked at: none may succeed that began when another had taken the lease. */
  watched(start: StartRenewer): StartRenewer {
    return (options) => {
      const { epoch, holder } = options.state;
      this.#newestEpoch = Math.max(this.#newestEpoch, epoch);
      const renewer = start(options);
      const fence = renewer.fence.bind(renewer);
      renewer.fence = () => {
        const newest = this.#newestEpoch;
        const fenced = fence();
        if (newest === epoch) return fenced;
        return fenced.then(() =>
          this.problem(`${holder} may speak in epoch ${epoch}, though ${newest} has begun`),
        );
      };
      return renewer;
    };
  }
}

/** A machine with a broker that is in no group. It does as `BrokerAlone`. */
export class LoneNode extends Machine implements TransportHandler {
  readonly cluster: LoneBrokers;
  #broker: Broker | undefined;
  #store: FileStore | undefined;
  #opening = new AbortController();
  #opened: Promise<void> = Promise.resolve();
  #servedLink: TransportLink | undefined;
  #isFailed = false;

  constructor(cluster: LoneBrokers, name: string, host: Host) {
    super(name, host);
    this.cluster = cluster;
  }

  get broker(): Broker | undefined {
    return this.#broker;
  }

  get isServing(): boolean {
    if (!this.isStarted || this.process.isDead || this.#isFailed) return false;
    const { link } = this.transport;
    return link !== undefined && link === this.#servedLink;
  }

  get state(): string {
    const { name, process, transport } = this;
    if (process.isDead) return `${name}: dead`;
    const role = this.#broker === undefined ? 'waits for the store' : 'has the store';
    return `${name}: ${role}${transport.link === undefined ? ', no NATS' : ''}`;
  }

  start(): void {
    const { cluster } = this;
    const { process, fs } = this.boot();
    this.#broker = undefined;
    this.#store = undefined;
    this.#servedLink = undefined;
    this.#isFailed = false;
    this.#opening = new AbortController();
    this.transport = new SimTransport({
      nats: cluster.nats,
      process,
      subjects: groupSubjects(CLUSTER_ID, 'none'),
      servers: cluster.options.serversOf?.(this.name),
      handler: () => this,
      onHandOver: () => {},
      onSay: () => {},
    });
    this.#opened = this.#open(process, fs);
  }

  async #open(process: SimProcess, fs: StoreFs): Promise<void> {
    const { cluster, transport } = this;
    const { world, options } = cluster;
    const { clock } = process;
    const { signal } = this.#opening;
    const log = this.logger();
    const hashSeed = world.random.below(2 ** 32);
    try {
      const store = await openLoneStore({
        clock,
        store: {
          ...SMALL_STORE,
          fs,
          random: (size) => this.random(size),
          warn: (message) => world.note(() => `${process.name} warns: ${message}`),
        },
        lease: {
          lease: this.lease(fs),
          lock: this.lock(fs, log),
          startRenewer: cluster.watched(this.renewer(startQuickRenewer)),
          processes: {
            self: async () => identityOf(process),
            isDead: (identity) => this.isDeadHere(holderOf(identity.host.slice('host-'.length), identity)),
          },
          nodeName: this.name,
          lookAtPlace: () => this.placeOfStore(),
          onLost: (error) => this.#fail(process, error),
          signal,
        },
      });
      this.#store = store;
      if (signal.aborted) return;
      const broker = new Broker({
        options: { ...BROKER_OPTIONS, limitsFor: (channel) => options.limitsFor(channel) },
        store,
        clock,
        log,
        pinger: transport.pinger,
        hashSeed,
        random: (size) => world.nameBytes(size),
        defer: (callback) => process.after(0, callback),
        onFailed: (error) => this.#fail(process, error),
      });
      options.mutation.broker?.(broker);
      this.#broker = broker;
      transport.start();
    } catch (error) {
      if (!this.isStopping && !this.#isFailed) this.#end(process, error as Error);
    }
  }

  /** It says nothing more, and exits when its files are closed. */
  #fail(process: SimProcess, error: Error): void {
    if (this.#isFailed || this.isStopping || process !== this.process) return;
    this.#isFailed = true;
    this.#broker?.stop();
    this.#opening.abort(error);
    const end = (): void => this.#end(process, error);
    this.#opened.then(() => this.#store?.close()).then(end, end);
  }

  #end(process: SimProcess, error: Error): void {
    if (process.isDead) return;
    const { cluster } = this;
    cluster.ended(process.name, error);
    this.ended(process, error);
    // Its supervisor starts it again, while the other one has the store too.
    cluster.world.after(RESTART_MS, () => {
      if (this.process === process) this.start();
    });
  }

  protected async stopInOrder(): Promise<void> {
    this.#opening.abort(new Error('stopped'));
    await this.#opened;
    this.#broker?.drain();
    await this.#store?.close();
    const { link } = this.transport;
    const { clock } = this.process;
    if (link !== undefined) {
      const inTime = new Promise<void>((resolve) => clock.setTimer(LAST_FLUSH_MS, resolve));
      await Promise.race([link.flush().catch(() => {}), inTime]);
    }
    this.#broker?.stop();
  }

  // What the transport calls.

  onLinkUp(link: TransportLink): void {
    const broker = this.#broker;
    if (broker === undefined) return;
    link.handOverTo(broker);
    broker.linkUp(link).then(
      () => {
        if (this.transport.link !== link) return;
        this.#servedLink = link;
        this.cluster.takeovers++;
      },
      // It went down again, and the transport brings the next one.
      () => {},
    );
  }

  onLinkDown(): void {
    this.#servedLink = undefined;
    this.#broker?.linkDown();
  }

  onDrain(): void {
    this.#broker?.linkDrained();
  }

  onGroupMessage(): void {}
}

function identityOf({ name }: SimProcess): ProcessIdentity {
  const [, host, pid, start] = name.split('@');
  return { host: host ?? '', pid: Number(pid), start: start ?? '' };
}
