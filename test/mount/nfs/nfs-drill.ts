import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { askStatus } from '../../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../../src/group/report/member-status.js';
import { Flow } from '../../drill/flow.js';
import { mainScript } from '../../harness/broker.js';
import { StanClient } from '../../harness/stan-client.js';
import { waitFor } from '../../harness/wait.js';
import { NatsProcess } from '../../nats/nats-process.js';
import { type Guest, HUB, NFS_STORE, NfsLab } from './nfs-lab.js';

/**
 * What happens to the machine of the active: its power goes, it is paused, its cable is pulled; or to the file server: it is restarted; or
 * nothing, for a while.
 */
export const STRIKES = ['power', 'pause', 'cable', 'server', 'nothing'] as const;
export type Strike = (typeof STRIKES)[number];

export interface NfsDrillOptions {
  dir: string;
  awaySeconds: number;
  graceSeconds: number;
  mountOptions: string;
  /** All machines have one host name. */
  areTwins: boolean;
  /** Each machine's NFS client has a name of its own beside the host's. */
  hasClientNames: boolean;
}

export interface StrikeReport {
  readonly strike: Strike;
  /** The longest time between two acks, from the strike until the group was whole again. */
  readonly withoutAcksMs: number;
  /** For how long the file server was off or booting; 0 for the other strikes. */
  readonly serverAwayMs: number;
  readonly from: string;
  readonly to: string;
  /** How often the lease has changed hands. */
  readonly takeovers: number;
}

export interface ReadBackReport {
  readonly acked: number;
  readonly stored: number;
  readonly lost: readonly string[];
}

const CLUSTER_ID = 'nfs';
const GROUP = 'g';
const CHANNEL = 'orders';
const MEMBERS = 3;
const PUBLISHERS = 4;
const SETTLE_MS = 120_000;
const LOOK_MS = 20;
const NOTHING_MS = 40_000;

/** A group of three on machines of their own, under load, with what they answered while they were struck. */
export class NfsDrill {
  readonly #options: NfsDrillOptions;
  readonly #flows: Flow[] = [];
  readonly #clients: StanClient[] = [];
  #lab: NfsLab | undefined;
  #nats: NatsProcess | undefined;
  #nc: NatsConnection | undefined;

  constructor(options: NfsDrillOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { dir, graceSeconds, mountOptions, areTwins, hasClientNames } = this.#options;
    this.#nats = await NatsProcess.start({ args: ['-a', HUB] });
    this.#lab = await NfsLab.start(dir, graceSeconds);
    const main = await mainScript();
    for (let i = 0; i < MEMBERS; i++) {
      const flags = ['--cluster-id', CLUSTER_ID, '--store', 'file', '--dir', NFS_STORE, '--ft-group', GROUP];
      this.#lab.addMember({
        command: [
          process.execPath,
          ...main,
          'serve',
          '--log-format',
          'json',
          ...flags,
          '--node-name',
          `m${i}`,
          '--nats-server',
          this.#url,
        ],
        options: mountOptions,
        host: areTwins ? 'twin' : undefined,
        unique: hasClientNames ? `machine-${i}` : undefined,
      });
    }
    this.#nc = await connect({ servers: this.#url });
    await this.#whole(0);
    for (let i = 0; i < PUBLISHERS; i++) {
      const flow = new Flow(await this.#client(`publisher-${i}`), CHANNEL, String(i));
      this.#flows.push(flow);
      flow.start();
    }
    await waitFor(
      () => this.#acked > 100,
      () => `the first acks; there are ${this.#acked}`,
      SETTLE_MS,
    );
  }

  /** Strikes, and waits until the group serves and is whole again. */
  async strike(strike: Strike): Promise<StrikeReport> {
    const lab = this.#theLab;
    const before = await this.#whole(0);
    const struck = this.#machineOf(before);
    const gap = new LongestGap(() => this.#acked);
    let serverAwayMs = 0;
    if (strike === 'server') {
      const begunMs = performance.now();
      await lab.server.switchOff();
      await sleep(this.#options.awaySeconds * 1000);
      lab.server.switchOn();
      await lab.server.says('the NFS server is up');
      serverAwayMs = Math.round(performance.now() - begunMs);
    } else if (strike === 'power') await struck.switchOff();
    else if (strike === 'pause') struck.pause();
    else if (strike === 'cable') struck.pullCable();
    else await sleep(NOTHING_MS);
    const isElsewhere = strike !== 'server' && strike !== 'nothing';
    const after = await this.#serving(isElsewhere ? before.epoch + 1 : before.epoch);
    if (strike === 'pause') await struck.switchOff();
    if (strike === 'power' || strike === 'pause') struck.switchOn();
    else if (strike === 'cable') struck.plugCable();
    const last = await this.#whole(after.epoch);
    return {
      strike,
      withoutAcksMs: gap.end(),
      serverAwayMs,
      from: before.node,
      to: last.node,
      takeovers: last.epoch - before.epoch,
    };
  }

  /** Stops publishing, and compares what was acknowledged with what is stored. @throws AssertionError if a message is lost or doubled */
  async readBack(): Promise<ReadBackReport> {
    for (const flow of this.#flows) await flow.stop();
    const reader = await this.#client('reader');
    await reader.publish(CHANNEL, 'the end');
    const all = await reader.subscribe(CHANNEL, { all: true, maxInFlight: 10_000 });
    await waitFor(
      () => all.messages.some(({ data }) => data === 'the end'),
      () => `everything that is stored; got ${all.messages.length}`,
      SETTLE_MS,
    );
    const times = new Map<string, number>();
    const fresh = all.messages.filter(({ redelivered }) => !redelivered);
    for (const { data } of fresh) times.set(data, (times.get(data) ?? 0) + 1);
    const acked = this.#flows.flatMap((flow) => flow.acked);
    const lost = acked.filter((data) => !times.has(data));
    assert.deepEqual(lost, [], 'each acknowledged message is stored');
    assert.deepEqual(
      [...times].filter(([, count]) => count > 1),
      [],
      'and no message is stored twice',
    );
    return { acked: acked.length, stored: fresh.length, lost };
  }

  /** Whether each machine's log has this text. */
  allSay(text: string): boolean {
    return this.#theLab.members.every(({ console: said }) => said.includes(text));
  }

  consoles(): string {
    const { server, members } = this.#theLab;
    return [server, ...members]
      .map(({ address, console: text }) => `--- ${address}\n${text.slice(-20_000)}`)
      .join('\n');
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.drop();
    await this.#nc?.close();
    await this.#lab?.stop();
    await this.#nats?.stop();
  }

  get #url(): string {
    return `nats://${HUB}:${this.#nats?.port}`;
  }

  get #theLab(): NfsLab {
    assert.ok(this.#lab, 'the drill was started');
    return this.#lab;
  }

  get #acked(): number {
    return this.#flows.reduce((sum, { acked }) => sum + acked.length, 0);
  }

  #machineOf({ node }: MemberStatus): Guest {
    const machine = this.#theLab.members[Number(node.slice(1))];
    assert.ok(machine, `${node} is a member of this group`);
    return machine;
  }

  async #client(id: string): Promise<StanClient> {
    const client = await StanClient.connect(this.#url, CLUSTER_ID, id, {
      ackTimeout: 10_000,
      maxPubAcksInflight: 65_536,
    });
    this.#clients.push(client);
    return client;
  }

  /** Acks come, and an active of `epoch` or later says that it serves. */
  async #serving(epoch: number): Promise<MemberStatus> {
    const { length } = this.#flows;
    const active = await this.#found(epoch, 0);
    const acked = this.#acked;
    await waitFor(
      () => length === 0 || this.#acked > acked + 100,
      () => `acks of ${active.node}`,
      SETTLE_MS,
    );
    return active;
  }

  async #whole(epoch: number): Promise<MemberStatus> {
    return this.#found(epoch, MEMBERS - 1);
  }

  async #found(epoch: number, standbys: number): Promise<MemberStatus> {
    let found: MemberStatus[] = [];
    const isActive = (status: MemberStatus): boolean => status.role === 'active' && status.epoch >= epoch;
    await waitFor(
      async () => {
        found = await askStatus(this.#nc!, CLUSTER_ID, GROUP);
        const well = found.filter(({ role, trouble }) => role === 'standby' && trouble === null);
        return found.some(isActive) && (this.#options.areTwins || well.length >= standbys);
      },
      () =>
        `an active of epoch ${epoch} and ${standbys} standbys: ${JSON.stringify(found)}\n${this.consoles()}`,
      SETTLE_MS,
    );
    const active = found.find(isActive);
    assert.ok(active);
    return active;
  }
}

/** The longest time for which a count did not grow. */
class LongestGap {
  readonly #count: () => number;
  readonly #timer: NodeJS.Timeout;
  #last: number;
  #sinceMs = performance.now();
  #longestMs = 0;

  constructor(count: () => number) {
    this.#count = count;
    this.#last = count();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  end(): number {
    clearInterval(this.#timer);
    this.#look();
    return Math.round(this.#longestMs);
  }

  #look(): void {
    const nowMs = performance.now();
    const count = this.#count();
    if (count > this.#last) {
      this.#longestMs = Math.max(this.#longestMs, nowMs - this.#sinceMs);
      this.#sinceMs = nowMs;
    }
    this.#last = count;
  }
}
