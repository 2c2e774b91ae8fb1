import { SeededRandom } from '../broker/model-random.js';

/** On a member, on its line, on its nats-server, on the store. */
export const FAULTS = [
  'kill',
  'term',
  'pause',
  'handover',
  'cut',
  'deaf',
  'mute',
  'routes',
  'alone',
  'slow',
  'nats-kill',
  'nats-pause',
  'full',
  'hang',
  'lag',
  'fail',
] as const;

export type FaultKind = (typeof FAULTS)[number];

/** On a member's calls to files of the store. */
export const OF_CALLS: readonly FaultKind[] = ['hang', 'lag', 'fail'];

/** Whom it strikes. `taker`: who takes over at the moment. */
export type Target = 'active' | 'standby' | 'taker' | number;

export interface Fault {
  readonly kind: FaultKind;
  readonly on: Target;
  /** Since the begin of the step, or since a takeover has begun in it. */
  readonly afterMs: number;
  readonly inTakeover: boolean;
  /** Then it is undone. */
  readonly forMs: number;
  /** From 0 to 99: what else there is to choose. */
  readonly shade: number;
}

/** Faults that come together; then all is well. */
export interface Step {
  readonly faults: readonly Fault[];
  readonly restMs: number;
}

/** All that a seed decides. */
export interface Plan {
  readonly leaseMs: number;
  /** Each member on a machine of its own; else they see each other's processes die. */
  readonly areMachines: boolean;
  readonly knowOwnServerOnly: boolean;
  /** The nats-servers notice a silent route within seconds. By themselves they wait for TCP, and ten seconds for a write. */
  readonly areRoutesQuick: boolean;
  readonly publishEveryMs: number;
  readonly ending: 'none' | 'kill all' | 'stop all';
  readonly steps: readonly Step[];
}

export interface PlanOptions {
  seed: number;
  steps: number;
  hosts: number;
  faults: readonly FaultKind[];
}

const LEASES_MS = [300, 600, 600, 600, 1_000];
const SHORTEST_MS = 30;
const LONGEST_MS = 8_000;
/** These bring a takeover about. */
const STRIKES: readonly FaultKind[] = [
  'kill',
  'term',
  'pause',
  'handover',
  'cut',
  'alone',
  'nats-pause',
  'hang',
  'fail',
];

export function planOf(options: PlanOptions): Plan {
  const random = new SeededRandom(options.seed);
  return {
    leaseMs: random.pick(LEASES_MS)!,
    areMachines: random.chance(70),
    knowOwnServerOnly: random.chance(30),
    areRoutesQuick: random.chance(60),
    publishEveryMs: random.pick([5, 10, 20])!,
    ending: random.pick(['none', 'kill all', 'stop all'] as const)!,
    steps: Array.from({ length: options.steps }, () => stepOf(random, options)),
  };
}

function stepOf(random: SeededRandom, { hosts, faults }: PlanOptions): Step {
  const chosen: Fault[] = [];
  const shape = random.weighted({ one: 35, several: 35, takeover: 30 });
  const more = random.weighted({ '1': 60, '2': 30, '3': 10 });
  const strikes = faults.filter((kind) => STRIKES.includes(kind));
  if (shape === 'takeover' && strikes.length > 0) {
    chosen.push({ ...faultOf(random, strikes, hosts), on: 'active', afterMs: 0 });
    for (let i = 0; i < Number(more); i++) {
      const fault = faultOf(random, faults, hosts);
      const on = random.chance(60) ? 'taker' : fault.on;
      chosen.push({ ...fault, on, inTakeover: true, afterMs: random.below(150) });
    }
  } else {
    const count = shape === 'one' ? 1 : 1 + Number(more);
    for (let i = 0; i < count; i++) chosen.push(faultOf(random, faults, hosts));
  }
  return { faults: chosen, restMs: random.chance(25) ? 7_000 : 300 + random.below(2_000) };
}

function faultOf(random: SeededRandom, kinds: readonly FaultKind[], hosts: number): Fault {
  const on = random.weighted({ active: 55, standby: 20, any: 25 });
  const any = 1 + random.below(hosts);
  return {
    kind: random.pick(kinds)!,
    on: on === 'any' ? any : on,
    afterMs: random.below(1_200),
    inTakeover: false,
    forMs: Math.round(SHORTEST_MS * (LONGEST_MS / SHORTEST_MS) ** (random.below(1_000) / 1_000)),
    shade: random.below(100),
  };
}

export function describeStep({ faults, restMs }: Step): string {
  const parts = faults.map(({ kind, on, afterMs, inTakeover, forMs }) => {
    const target = typeof on === 'number' ? `member ${on}` : on;
    return `${kind} of ${target} ${afterMs} ms ${inTakeover ? 'into a takeover' : 'from now'}, for ${forMs} ms`;
  });
  return `${parts.join('; ')}; rest ${restMs} ms`;
}
