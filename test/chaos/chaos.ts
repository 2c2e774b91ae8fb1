import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JOURNAL_DIRECTORY } from '../../src/files/store-folder.js';
import { askStatus } from '../../src/group/report/ask-status.js';
import { waitFor } from '../harness/wait.js';
import { Arena } from './arena.js';
import { Calm } from './calm.js';
import type { Story } from './chaos-log.js';
import { Clients } from './clients.js';
import { lateMsOf, runStep } from './faults.js';
import { CLUSTER_ID, GROUP } from './host.js';
import { Ledger } from './ledger.js';
import { describeStep, type Plan, type Step } from './plan.js';
import { PROBE_CHANNEL, Probe } from './probe.js';
import { CHANNELS, Publishers } from './publishers.js';
import { readBack, verifyStore } from './read-back.js';
import { Subscribers } from './subscribers.js';
import { Terms } from './terms.js';

/** Whether it comes back at all is worth knowing. */
const EVER_MS = 60_000;
const RECEIVE_MS = 30_000;
const WARM_UP_MS = 1_000;
const QUIET_MS = 6_000;
const POLL_MS = 20;
/** A member takes half of it under such a load. */
const MOST_MIB = 300;
/** The one that is written, the next, and what a term that has just begun found. */
const MOST_JOURNALS = 4;

export interface ChaosOptions {
  hosts: number;
  plan: Plan;
  needsDisk: boolean;
  /** Calls of members to files are to be struck. */
  strikesCalls: boolean;
  /** Somebody serves so long after the last fault of a step has ended, and the network is whole. */
  patienceMs: number;
  story: Story;
}

export interface ChaosResult {
  acked: number;
  stored: number;
  takeovers: number;
  longestOutageMs: number;
  refusals: Readonly<Record<string, number>>;
}

/** One run: a group under load, the steps of the plan, and everything that must hold. */
export async function runChaos({
  hosts,
  plan,
  needsDisk,
  strikesCalls,
  patienceMs,
  story,
}: ChaosOptions): Promise<ChaosResult> {
  const calm = new Calm();
  const terms = new Terms(story);
  const ledger = new Ledger(story);
  const clients = new Clients(story);
  const arena = await Arena.make({ hosts, plan, needsDisk, strikesCalls, story, calm, terms });
  if (needsDisk && arena.disk === undefined) story.tell('nothing can be mounted here: no disk gets full');
  if (strikesCalls && arena.calls === undefined)
    story.tell('there is no C compiler: no call to a file is struck');
  terms.listen(arena.nats);
  const probe = await clients.again('the probe connects', () => Probe.start(arena.hubUrl, ledger, calm));
  const publishers = new Publishers(ledger);
  await publishers.start(clients, arena.hubUrl, arena.allUrls, plan.publishEveryMs);
  const subscribers = new Subscribers({ ledger, calm, story });
  await subscribers.start(clients, arena.hubUrl, arena.allUrls);
  await sleep(WARM_UP_MS);
  let longestOutageMs = 0;

  const suffer = async (step: Step): Promise<void> => {
    probe.takeLongestMs();
    calm.beginFaults();
    await runStep(arena, step, story);
    const lateMs = lateMsOf(step, plan.areRoutesQuick);
    calm.endFaults(lateMs);
    story.tell('all is well again');
    await isServed(probe, patienceMs + lateMs, story);
    const longestMs = probe.takeLongestMs();
    longestOutageMs = Math.max(longestOutageMs, longestMs);
    story.tell(`served, after ${longestMs} ms without an ack at the longest`);
    await sleep(step.restMs);
  };
  for (const [i, step] of plan.steps.entries()) {
    story.tell(`step ${i + 1}: ${describeStep(step)}`);
    await suffer(step);
  }

  story.tell('the publishers stop');
  await publishers.stop();
  await subscribers.settle();
  await sleep(QUIET_MS);
  if (plan.ending !== 'none') await suffer(endingOf(plan.ending, hosts));
  await checkRoles(arena, hosts, story);
  checkBounds(arena, story);
  await probe.stop();
  const stored = await readBack(clients, ledger, arena.hubUrl, [...CHANNELS, PROBE_CHANNEL]);
  ledger.check(stored);
  await checkReceipts(subscribers, (channel) => stored.get(channel)!.length, story);
  clients.check();
  clients.end();
  await arena.end();
  const damage = await verifyStore(arena.storeDir);
  if (damage !== undefined) story.violate(`the store is damaged: ${damage}`);
  if (story.violations.length > 0 && arena.disk !== undefined)
    cpSync(arena.storeDir, join(story.dir, 'store'), { recursive: true });
  await arena.disk?.remove();
  const count = [...stored.values()].reduce((sum, messages) => sum + messages.length, 0);
  const { acked, refusals } = ledger;
  return { acked, stored: count, takeovers: terms.takeovers, longestOutageMs, refusals };
}

/** All at once: what only a start from the files shows. */
function endingOf(ending: 'kill all' | 'stop all', hosts: number): Step {
  const kind = ending === 'kill all' ? 'kill' : 'term';
  const faults = Array.from(
    { length: hosts },
    (_, i) =>
      ({
        kind,
        on: i + 1,
        afterMs: 0,
        inTakeover: false,
        forMs: 500,
        shade: 0,
      }) as const,
  );
  return { faults, restMs: WARM_UP_MS };
}

async function isServed(probe: Probe, withinMs: number, story: Story): Promise<void> {
  const fromMs = performance.now();
  const served = async (timeoutMs: number): Promise<boolean> => {
    while (probe.lastAckMs <= fromMs && performance.now() < fromMs + timeoutMs) await sleep(POLL_MS);
    return probe.lastAckMs > fromMs;
  };
  if (await served(withinMs)) return;
  story.violate(`nobody serves ${withinMs} ms after the end of all faults`);
  if (!(await served(EVER_MS))) throw new Error('the group does not come back');
  story.tell(`it was served after ${Math.round(probe.lastAckMs - fromMs)} ms`);
}

async function checkRoles({ nats }: Arena, hosts: number, story: Story): Promise<void> {
  let roles = '';
  try {
    await waitFor(
      async () => {
        const members = await askStatus(nats, CLUSTER_ID, GROUP);
        roles = members.map(({ node, role, epoch }) => `${node} ${role} in ${epoch}`).join(', ');
        const count = (wanted: string): number => members.filter(({ role }) => role === wanted).length;
        return count('active') === 1 && count('standby') === hosts - 1;
      },
      'one active, and the others standbys',
      RECEIVE_MS,
    );
  } catch {
    story.violate(`in the end the members are: ${roles}`);
  }
}

/** What a run leaves does not grow with what was done in it. */
function checkBounds({ hosts, storeDir }: Arena, story: Story): void {
  for (const { number, residentBytes } of hosts) {
    const mib = Math.round(residentBytes / 1024 / 1024);
    story.tell(`member ${number} has ${mib} MiB`);
    if (mib > MOST_MIB) story.violate(`member ${number} has ${mib} MiB, more than ${MOST_MIB}`);
  }
  const journals = readdirSync(join(storeDir, JOURNAL_DIRECTORY));
  if (journals.length > MOST_JOURNALS) story.violate(`checkpoints left ${journals.join(', ')}`);
}

async function checkReceipts(
  { receipts }: Subscribers,
  lastOf: (channel: string) => number,
  story: Story,
): Promise<void> {
  const missing = (): string[] =>
    receipts.flatMap((receipt) => {
      const sequences = receipt.missing(lastOf(receipt.channel));
      if (sequences.length === 0) return [];
      return [
        `the ${receipt.name} lacks ${sequences.length} of ${receipt.channel}: ${sequences.slice(0, 10)}`,
      ];
    });
  const deadline = performance.now() + RECEIVE_MS;
  while (missing().length > 0 && performance.now() < deadline) await sleep(POLL_MS);
  for (const text of missing()) story.violate(text);
  for (const { name, count, again } of receipts) story.tell(`the ${name} got ${count}, ${again} again`);
}
