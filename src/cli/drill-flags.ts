// The flags of `drill`, and the options that they become.

import type { Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import {
  type DrillOptions,
  FAULTS,
  type FaultKind,
  type LocalTarget,
  type PlannedFault,
  type RunningTarget,
} from '../drill/drill-options.js';
import { nearestWord } from '../util/suggest.js';
import {
  CLUSTER_FLAGS,
  connectTimeoutMs,
  DISCOVER_FLAGS,
  flag,
  flagSwitch,
  NATS_FLAGS,
  type NatsFlag,
  natsOptions,
} from './client-flags.js';
import { type Flags, wholeNumber } from './flags.js';
import { GROUP_KEY_FLAGS, groupKey } from './group-key-flags.js';

export const DRILL_FLAGS = {
  faults: flag(
    `What happens to the active: ${FAULTS.join(', ')}; kill=10 for ten times [default: all; for a running group handover]`,
  ),
  takeovers: flag('How often each fault happens [default: 3]'),
  messages: flag('Messages stored before the first fault [default: 10000]'),
  rate: flag('Messages a second during the drill [default: 1000]'),
  pause: flag('How long a paused process is paused [default: 10s]'),
  settle: flag('Time without a fault between two faults [default: 2s]'),
  timeout: flag('How long to wait for a takeover, and for a member to come back [default: 60s]'),
  nodes: flag('Brokers of the local group [default: 3]'),
  ...GROUP_KEY_FLAGS,
  dir: flag(
    "Folder of the local group, which must be empty [default: a temporary one]; with --nats-server that of the running group's store, for its key",
  ),
  ...CLUSTER_FLAGS,
  ...DISCOVER_FLAGS,
  'ft-group': flag('Name of the running group [default: the only one]'),
  'allow-signals': flagSwitch('Allow to stop, kill and pause members of a running group on this machine'),
  json: flagSwitch('Print JSON'),
} as const satisfies Record<string, Options>;

export type DrillFlag = keyof typeof DRILL_FLAGS | NatsFlag;

const MAX_TAKEOVERS = 1_000;
const MAX_MESSAGES = 20_000_000;
const MAX_RATE = 50_000;
const MIN_NODES = 2;
const MAX_NODES = 9;
const HOUR_MS = 3_600_000;

/** @throws ConfigError naming a flag that is wrong, and the values it takes */
export async function drillOptions(flags: Flags<DrillFlag>): Promise<DrillOptions> {
  const isLocal = flags.text('nats-server') === undefined;
  const target = isLocal ? localTarget(flags) : await runningTarget(flags);
  const takeovers = flags.number('takeovers', 3, 1, MAX_TAKEOVERS);
  const planned = plan(flags.text('faults'), takeovers, target);
  checkAllHaveEffect(flags, planned);
  return {
    target,
    plan: planned,
    messages: flags.number('messages', 10_000, 0, MAX_MESSAGES),
    rate: flags.number('rate', 1_000, 1, MAX_RATE),
    pauseMs: flags.durationMs('pause', 10_000, 1_000, HOUR_MS),
    settleMs: flags.durationMs('settle', 2_000, 0, HOUR_MS),
    timeoutMs: flags.durationMs('timeout', 60_000, 1_000, HOUR_MS),
  };
}

/** @throws ConfigError naming a flag on the command line that would have no effect */
function checkAllHaveEffect(flags: Flags<DrillFlag>, planned: readonly PlannedFault[]): void {
  if (flags.isOnCommandLine('pause') && !planned.some(({ kind }) => kind === 'pause'))
    throw new ConfigError('--pause is how long the fault pause lasts, which is not among the faults');
  const faults = flags.text('faults');
  if (flags.isOnCommandLine('takeovers') && faults?.split(',').every((fault) => fault.includes('=')) === true)
    throw new ConfigError('--takeovers is for faults without a number, and each in --faults has one');
}

/** The flags that name a running group and how to reach it. */
const FOR_RUNNING = [
  ...(Object.keys(NATS_FLAGS) as NatsFlag[]).filter((name) => name !== 'config'),
  'cluster-id',
  'discover-prefix',
  'ft-group',
  'allow-signals',
  'group-key',
] as const satisfies readonly DrillFlag[];

function localTarget(flags: Flags<DrillFlag>): LocalTarget {
  for (const flag of FOR_RUNNING) {
    if (flags.isOnCommandLine(flag))
      throw new ConfigError(`--${flag} is for a running group: name it with --nats-server`);
  }
  const [option] = flags.isOnCommandLine('config') ? forBrokers(flags) : [];
  if (option !== undefined)
    throw new ConfigError(
      `${option} is for a broker, and the group that drill starts takes no options: name a running group with --nats-server`,
    );
  return { kind: 'local', nodes: flags.number('nodes', 3, MIN_NODES, MAX_NODES), dir: flags.text('dir') };
}

/** The options and limits for brokers in the config file. */
function forBrokers(flags: Flags<DrillFlag>): string[] {
  const options = flags.fileOptions.filter(({ name }) => name !== 'dir');
  return [...options.map(({ where }) => where), ...flags.fileChannels.map((name) => `the limits of ${name}`)];
}

async function runningTarget(flags: Flags<DrillFlag>): Promise<RunningTarget> {
  if (flags.isOnCommandLine('nodes'))
    throw new ConfigError('--nodes is for a local group, and --nats-server names a running one');
  const clusterId = flags.option('cluster-id');
  const nats = { ...natsOptions(flags), name: 'stanchion drill', timeout: connectTimeoutMs(flags) };
  return {
    kind: 'running',
    nats,
    clusterId,
    ...(await groupKey(flags, clusterId)),
    discoverPrefix: flags.option('discover-prefix'),
    group: flags.option('ft-group'),
    allowSignals: flags.flag('allow-signals'),
  };
}

function plan(
  text: string | undefined,
  takeovers: number,
  target: LocalTarget | RunningTarget,
): PlannedFault[] {
  const possible = possibleFaults(target);
  if (text === undefined) return possible.map((kind) => ({ kind, takeovers }));
  const planned = text.split(',').map((item): PlannedFault => {
    const [name = '', count, ...rest] = item.trim().split('=');
    const kind = FAULTS.find((known) => known === name);
    if (kind === undefined) {
      const nearest = nearestWord(name, FAULTS);
      const hint = nearest === undefined ? '' : `, did you mean ${nearest}?`;
      throw new ConfigError(`--faults: there is no "${name}"${hint || '.'} There are ${FAULTS.join(', ')}`);
    }
    if (!possible.includes(kind)) throw new ConfigError(whyNot(kind));
    if (rest.length > 0) throw new ConfigError(`--faults: "${item}" must be ${kind} or ${kind}=NUMBER`);
    return {
      kind,
      takeovers: count === undefined ? takeovers : wholeNumber(`--faults ${kind}=`, count, 1, MAX_TAKEOVERS),
    };
  });
  const twice = planned.find(({ kind }, i) => planned.findIndex((other) => other.kind === kind) !== i);
  if (twice !== undefined) throw new ConfigError(`--faults names ${twice.kind} twice`);
  return planned;
}

/** The faults that the target allows, in the order in which the drill does them. */
function possibleFaults(target: LocalTarget | RunningTarget): readonly FaultKind[] {
  if (target.kind === 'local') return FAULTS;
  return target.allowSignals ? FAULTS.filter((kind) => kind !== 'cut') : ['handover'];
}

function whyNot(kind: FaultKind): string {
  if (kind === 'cut')
    return '--faults cut is for a local group: the nats-servers of a running one are left alone';
  return (
    `--faults ${kind} signals the processes of a running group: add --allow-signals if they are on this machine, something ` +
    'starts them again, and you mean it. Without it only handover is possible'
  );
}
