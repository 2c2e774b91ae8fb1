import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { waitFor } from '../harness/wait.js';
import { Calls } from './calls.js';
import type { Calm } from './calm.js';
import type { Story } from './chaos-log.js';
import { Disk } from './disk.js';
import { Host, natsArguments, natsUrl } from './host.js';
import { address, HUB, Network } from './network.js';
import type { Plan, Target } from './plan.js';
import type { Terms } from './terms.js';

const POLL_MS = 10;

export interface ArenaParts {
  hosts: number;
  plan: Plan;
  needsDisk: boolean;
  strikesCalls: boolean;
  story: Story;
  calm: Calm;
  terms: Terms;
}

/** The machines, their network and the store: what faults are done to. */
export class Arena {
  readonly network: Network;
  readonly disk: Disk | undefined;
  readonly storeDir: string;
  readonly calls: Calls | undefined;
  readonly hosts: readonly Host[];
  /** Of this process, at a nats-server that is never at fault. */
  readonly nats: NatsConnection;
  readonly hubUrl = natsUrl(HUB);
  readonly allUrls: readonly string[];
  /** How often a member has begun to take over. */
  takings = 0;
  #lastTaker: Host | undefined;
  #lastActive: Host | undefined;
  readonly #hubServer: ChildProcess;

  private constructor(parts: ArenaParts, made: { network: Network; disk: Disk | undefined; nats: Hub }) {
    const { plan, story, calm, terms } = parts;
    this.network = made.network;
    this.disk = made.disk;
    this.nats = made.nats.connection;
    this.#hubServer = made.nats.server;
    this.storeDir = join(made.disk?.dir ?? story.dir, 'store');
    mkdirSync(this.storeDir);
    this.calls = parts.strikesCalls ? Calls.make(story.dir, this.storeDir) : undefined;
    this.allUrls = [...made.network.hosts.map((host) => natsUrl(address(host))), this.hubUrl];
    this.hosts = made.network.hosts.map(
      (number) =>
        new Host({
          number,
          hosts: made.network.hosts,
          dir: this.storeDir,
          environment: this.calls?.environment(number) ?? {},
          isDiskFailing: () => this.calls?.isFailing(number) ?? false,
          leaseMs: plan.leaseMs,
          isMachine: plan.areMachines,
          knowsOwnServerOnly: plan.knowOwnServerOnly,
          natsFlags: made.nats.flags,
          story,
          onTaking: (host) => {
            this.takings++;
            this.#lastTaker = host;
            calm.disturb();
          },
          onServing: (host, epoch) => {
            this.#lastActive = host;
            calm.disturb();
            terms.serve(host.number, epoch);
          },
        }),
    );
  }

  static async make(parts: ArenaParts): Promise<Arena> {
    const network = await Network.make(parts.hosts);
    const disk = parts.needsDisk ? await Disk.mount(parts.story.dir) : undefined;
    const arena = new Arena(parts, { network, disk, nats: await startHub(parts, network) });
    for (const host of arena.hosts) host.startNats();
    await Promise.all(arena.hosts.map((host) => host.startBroker()));
    return arena;
  }

  get active(): Host | undefined {
    return this.#lastActive;
  }

  /** @param random from 0: which one, if several would do */
  hostOf(target: Target, random: number): Host {
    const any = this.hosts[random % this.hosts.length]!;
    if (typeof target === 'number') return this.hosts[target - 1] ?? any;
    if (target === 'taker') return this.#lastTaker ?? any;
    if (target === 'active') return this.#lastActive ?? any;
    const others = this.hosts.filter((host) => host !== this.#lastActive);
    return others[random % others.length] ?? any;
  }

  /** Until a takeover begins, or the time is over. */
  async taking(timeoutMs: number): Promise<void> {
    const before = this.takings;
    const deadline = performance.now() + timeoutMs;
    while (this.takings === before && performance.now() < deadline) await sleep(POLL_MS);
  }

  /** All that was done to them is undone. */
  async heal(): Promise<void> {
    for (const { number } of this.hosts) this.calls?.heal(number);
    await Promise.all(this.hosts.map(({ number }) => this.network.heal(number)));
    await Promise.all(this.hosts.map((host) => host.heal()));
  }

  /** Ends all processes. */
  async end(): Promise<void> {
    for (const host of this.hosts) {
      host.signal('SIGCONT');
      host.signal('SIGTERM');
    }
    await Promise.all(this.hosts.map((host) => host.ended()));
    for (const host of this.hosts) host.killNats();
    await this.nats.close();
    this.#hubServer.kill('SIGKILL');
  }
}

interface Hub {
  server: ChildProcess;
  connection: NatsConnection;
  flags: readonly string[];
}

async function startHub({ plan, story }: ArenaParts, network: Network): Promise<Hub> {
  const config = join(story.dir, 'nats.conf');
  writeFileSync(
    config,
    plan.areRoutesQuick ? 'ping_interval: "1s"\nping_max: 2\nwrite_deadline: "2s"\n' : '',
  );
  const flags = ['-c', config, ...(plan.knowOwnServerOnly ? ['--no_advertise'] : [])];
  const server = spawn('nats-server', natsArguments(HUB, network.hosts.map(address), flags), {
    stdio: 'ignore',
  });
  let connection: NatsConnection | undefined;
  await waitFor(async () => {
    connection = await connect({ servers: natsUrl(HUB), maxReconnectAttempts: -1 }).catch(() => undefined);
    return connection !== undefined;
  }, 'the nats-server of the clients answers');
  return { server, connection: connection!, flags };
}
