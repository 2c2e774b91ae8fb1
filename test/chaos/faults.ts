import { setTimeout as sleep } from 'node:timers/promises';
import { askToHandOver } from '../harness/hand-over.js';
import type { Arena } from './arena.js';
import type { Story } from './chaos-log.js';
import { CLUSTER_ID, GROUP, type Host } from './host.js';
import type { Fault, FaultKind, Step } from './plan.js';

/** A takeover that a fault was to come into has not begun by then. */
const TAKING_MS = 6_000;

type Undo = () => Promise<void> | void;
type Strike = (arena: Arena, host: Host, fault: Fault, story: Story) => Promise<Undo> | Undo;

const startAgain =
  (host: Host): Undo =>
  () =>
    host.startBroker();

const onLine = async (arena: Arena, host: Host, struck: Promise<void>): Promise<Undo> => {
  await struck;
  return () => arena.network.heal(host.number);
};

const strikes: Record<FaultKind, Strike> = {
  kill: (_, host) => {
    host.signal('SIGKILL');
    return startAgain(host);
  },
  term: (_, host) => {
    host.signal('SIGTERM');
    return startAgain(host);
  },
  pause: (_, host) => {
    host.signal('SIGSTOP');
    return () => host.signal('SIGCONT');
  },
  handover: async (arena, _host, _fault, story) => {
    const group = { clusterId: CLUSTER_ID, group: GROUP, dir: arena.storeDir };
    const answer = await askToHandOver(arena.nats, group)
      .then((answered) => JSON.stringify(answered))
      .catch((error: Error) => error.message);
    story.tell(`the request to hand over: ${answer}`);
    return () => {};
  },
  cut: (arena, host) => onLine(arena, host, arena.network.cut(host.number)),
  deaf: (arena, host) => onLine(arena, host, arena.network.deafen(host.number)),
  mute: (arena, host) => onLine(arena, host, arena.network.mute(host.number)),
  routes: (arena, host) => onLine(arena, host, arena.network.cutRoutes(host.number)),
  alone: (arena, host, { shade }) =>
    onLine(arena, host, arena.network.cutFromNats(host.number, shade < 50 ? 'DROP' : 'REJECT')),
  slow: (arena, host, { shade }) => {
    const line = { delayMs: 5 + shade * 3, lossPercent: shade % 12 };
    return onLine(arena, host, arena.network.slow(host.number, line));
  },
  'nats-kill': (_, host) => {
    host.killNats();
    return () => host.startNats();
  },
  'nats-pause': (_, host) => {
    host.pauseNats();
    return () => host.continueNats();
  },
  full: (arena) => arena.disk?.fill() ?? (() => {}),
  hang: (arena, { number }, { shade }) => arena.calls?.hang(number, shade) ?? (() => {}),
  lag: (arena, { number }, { shade }) => arena.calls?.lag(number, shade) ?? (() => {}),
  fail: (arena, { number }, { shade }) => arena.calls?.fail(number, shade) ?? (() => {}),
};

const OF_NETWORK: readonly FaultKind[] = ['cut', 'deaf', 'mute', 'routes', 'alone', 'slow', 'nats-pause'];
/** A nats-server gives a route up that takes no bytes for so long, and refuses others to the same server until then. */
const WRITE_DEADLINE_MS = 10_000;

/** So long after the faults connections are whole again: TCP takes them up after twice the time for which they were cut. */
export function lateMsOf({ faults }: Step, areRoutesQuick: boolean): number {
  const longestMs = Math.max(
    0,
    ...faults.filter(({ kind }) => OF_NETWORK.includes(kind)).map(({ forMs }) => forMs),
  );
  return longestMs === 0 || areRoutesQuick ? longestMs : Math.max(longestMs, WRITE_DEADLINE_MS);
}

/** Does to the arena what the step says, and undoes it. */
export async function runStep(arena: Arena, { faults }: Step, story: Story): Promise<void> {
  await Promise.all(
    faults.map(async (fault) => {
      if (fault.inTakeover) await arena.taking(TAKING_MS);
      await sleep(fault.afterMs);
      const host = arena.hostOf(fault.on, fault.shade);
      const role = host === arena.active ? ', the active' : '';
      story.tell(`${fault.kind}: member ${host.number}${role}`);
      const undo = await strikes[fault.kind](arena, host, fault, story);
      await sleep(fault.forMs);
      story.tell(`${fault.kind} of member ${host.number} ends`);
      await undo();
    }),
  );
  await arena.heal();
}
