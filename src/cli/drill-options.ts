import { ConfigError } from '../config/error.js';
import {
  type DrillOptions,
  FAULTS,
  type FaultKind,
  type LocalTarget,
  type PlannedFault,
  type RunningTarget,
} from '../drill/options.js';
import { nearestWord } from '../util/suggest.js';
import type { DrillFlag } from './drill.js';
import { type Flags, wholeNumber } from './flags.js';

const MAX_TAKEOVERS = 1_000;
const MAX_MESSAGES = 20_000_000;
const MAX_RATE = 50_000;
const MIN_NODES = 2;
const MAX_NODES = 9;
const HOUR_MS = 3_600_000;

/** @throws ConfigError naming the flag that is wrong, and what it may be */
export function drillOptions(flags: Flags<DrillFlag>): DrillOptions {
  const isLocal = flags.text('nats-server') === undefined;
  const target = isLocal ? localTarget(flags) : runningTarget(flags);
  if (isLocal && flags.flag('allow-signals'))
    throw new ConfigError('--allow-signals is for a running group: name it by --nats-server');
  const takeovers = flags.number('takeovers', 3, 1, MAX_TAKEOVERS);
  return {
    target,
    plan: plan(flags.text('faults'), takeovers, target),
    messages: flags.number('messages', 10_000, 0, MAX_MESSAGES),
    rate: flags.number('rate', 1_000, 1, MAX_RATE),
    pauseMs: flags.durationMs('pause', 10_000, 1_000, HOUR_MS),
    settleMs: flags.durationMs('settle', 2_000, 0, HOUR_MS),
    timeoutMs: flags.durationMs('timeout', 60_000, 1_000, HOUR_MS),
  };
}

function localTarget(flags: Flags<DrillFlag>): LocalTarget {
  for (const flag of ['cluster-id', 'ft-group', 'user', 'pass', 'auth'] as const) {
    if (flags.isOnCommandLine(flag))
      throw new ConfigError(`--${flag} is for a running group: name it by --nats-server`);
  }
  return { kind: 'local', nodes: flags.number('nodes', 3, MIN_NODES, MAX_NODES), dir: flags.text('dir') };
}

function runningTarget(flags: Flags<DrillFlag>): RunningTarget {
  for (const flag of ['nodes', 'dir'] as const) {
    if (flags.isOnCommandLine(flag))
      throw new ConfigError(`--${flag} is for a local group, and --nats-server names a running one`);
  }
  const servers = flags.text('nats-server')!.split(',');
  if (servers.includes(''))
    throw new ConfigError('--nats-server must be URLs, by commas: nats://127.0.0.1:4222');
  if (flags.text('pass') !== undefined && flags.text('user') === undefined)
    throw new ConfigError('--pass needs --user');
  return {
    kind: 'running',
    servers,
    clusterId: flags.text('cluster-id') ?? 'test-cluster',
    group: flags.text('ft-group'),
    user: flags.text('user'),
    pass: flags.text('pass'),
    token: flags.text('auth'),
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

/** In the order in which they are done. */
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
