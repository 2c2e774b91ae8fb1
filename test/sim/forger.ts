import { seal } from '../../src/group/proof/seal.js';
import { encodeGroupMessage, type Heartbeat } from '../../src/group/talk/group-messages.js';
import { type GroupSubjects, groupSubjects } from '../../src/group/talk/group-subjects.js';
import { encodeHandoverRequest } from '../../src/group/talk/handover-request.js';
import { CLUSTER_ID, type Machines } from './machine.js';
import { SERVERS, SimConnection } from './nats.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

const EVERY_MS = [1, 100] as const;
const MAX_RECORDED = 3_000;

/**
 * Anyone who can publish and subscribe in NATS, and has not the group's key: it records what members say, and says it again, changed or
 * not; it invents messages, and seals them with a key of its own, as a group of the same names on another store would.
 */
export class Forger {
  /** Set to say nothing more. */
  isOver = false;
  readonly recorded: Buffer[] = [];
  readonly #world: World;
  readonly #cluster: Machines;
  readonly #subjects: GroupSubjects;
  readonly #process: SimProcess;
  readonly #key: Buffer;
  #connection: SimConnection | undefined;
  #count = 0;

  constructor(cluster: Machines, group: string) {
    const { world } = cluster;
    this.#world = world;
    this.#cluster = cluster;
    this.#subjects = groupSubjects(CLUSTER_ID, group);
    this.#process = new SimProcess(world, 'forger', { rate: 1, wallSkewMs: 0 });
    this.#key = this.#bytes(32);
  }

  /** Records from now on. */
  listen(): this {
    this.#connected();
    return this;
  }

  /** Records, and forges again and again. */
  forge(): this {
    const world = this.#world;
    const next = (): void => {
      if (this.isOver) return;
      this.#strike();
      world.after(world.between(...EVERY_MS), next);
    };
    next();
    return this.listen();
  }

  say(payload: Buffer): void {
    this.#connected()?.publish(this.#subjects.talk, payload);
  }

  #connected(): SimConnection | undefined {
    const { nats } = this.#cluster;
    if (this.#connection?.isUp) return this.#connection;
    const server = Array.from({ length: SERVERS }, (_, i) => i).find((i) => nats.isUp(i));
    if (server === undefined) return undefined;
    const connection = new SimConnection(nats, server, this.#process, () => {
      this.#world.after(100, () => this.#connected());
    });
    connection.subscribe(this.#subjects.talk, (_, { payload, connection: from }) => {
      if (from === connection.number) return;
      if (this.recorded.length < MAX_RECORDED) this.recorded.push(payload);
      else this.recorded[this.#world.random.below(MAX_RECORDED)] = payload;
    });
    this.#connection = connection;
    return connection;
  }

  #strike(): void {
    const { random } = this.#world;
    const old = random.pick(this.recorded);
    const kinds = {
      random: () => this.#bytes(random.below(300)),
      invented: () => encodeGroupMessage(this.#invented()),
      sealed: () => this.#sealed(),
      mutated: () => this.#mutated(old),
      replayed: () => old,
      handover: () => undefined,
    };
    const kind = random.weighted({ random: 1, invented: 4, sealed: 3, mutated: 4, replayed: 8, handover: 1 });
    if (kind === 'handover') {
      const request = { member: this.#anyone, epoch: random.below(10), number: this.#world.nowMs | 0 };
      const key = this.#world.chance(0.5) ? this.#key : undefined;
      const { handover } = this.#subjects;
      this.#connected()?.publish(handover, Buffer.from(encodeHandoverRequest(key, handover, request)));
      return;
    }
    const payload = kinds[kind]();
    if (payload !== undefined) this.say(Buffer.from(payload));
  }

  #sealed(): Buffer {
    const heard = Array.from({ length: this.#world.random.below(4) }, () => this.#bytes(8).toString('hex'));
    const fresh = { boot: this.#bytes(8).toString('hex'), round: 0, count: ++this.#count, heard };
    return seal(this.#key, [this.#subjects.talk], JSON.stringify({ ...this.#invented(), ...fresh }));
  }

  /** The name of a process that is or was there, or of none. */
  get #anyone(): string {
    const names = [...this.#cluster.processes.keys(), 'nobody@nowhere@1@x'];
    return this.#world.random.pick(names) ?? '';
  }

  #invented():
    | Heartbeat
    | { kind: 'offer' | 'ready' | 'released'; member: string; epoch: number }
    | { kind: 'leaving'; member: string } {
    const { random } = this.#world;
    const member = this.#anyone;
    const epoch = random.pick([0, 1, 2, 5, 1e6, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, -1])!;
    const kind = random.weighted({ heartbeat: 6, offer: 1, ready: 1, released: 1, leaving: 1 });
    if (kind === 'leaving') return { kind, member };
    if (kind !== 'heartbeat') return { kind, member, epoch };
    return {
      ...{ kind, member, epoch },
      node: random.pick(['n0', 'n1', 'n2', 'x'.repeat(1_000)])!,
      role: random.pick(['active', 'active', 'recovering', 'standby', 'stopping'] as const)!,
      counter: random.pick([undefined, 0, 1e9, 1.5])!,
      forMs: random.pick([0, 1e12, -1])!,
      storeId: random.pick(['', 'AAAAAAAAAAAAAAAAAAAAAA'])!,
      storeDir: '/elsewhere',
      server: 'nats-9:4222',
      wallMs: random.pick([undefined, 0, 1e12, 9e12])!,
      storeMs: random.pick([undefined, 0, 9e12])!,
      storeLeadMs: random.pick([undefined, 0, 9e12])!,
    };
  }

  #mutated(old: Buffer | undefined): Buffer | undefined {
    if (old === undefined) return undefined;
    const { random } = this.#world;
    const text = old.toString();
    switch (random.below(5)) {
      case 0: {
        const flipped = Buffer.from(old);
        flipped[random.below(old.length)]! ^= 1 << random.below(8);
        return flipped;
      }
      case 1:
        return Buffer.from(old.subarray(0, random.below(old.length)));
      case 2:
        return Buffer.from(text.replace(/"epoch":\d+/, '"epoch":1e999'));
      case 3:
        return Buffer.from(text.replace(/"role":"\w+"/, '"role":"active"'));
      default:
        return Buffer.from(text.replace(/"count":\d+/, `"count":${1 + random.below(1e9)}`));
    }
  }

  #bytes(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = this.#world.random.below(256);
    return bytes;
  }
}
