import { cpSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import type { HandoverAnswer } from '../../src/group/roles/handover-requests.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { askAll } from '../../src/nats/ask-all.js';
import { askToHandOver } from '../harness/hand-over.js';
import { InProcess } from '../harness/in-process.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

const GROUP = 'g';
const CLUSTER_ID = 'c';
/** A member whose process stands still at the time is not among the answers. */
const ANSWER_MS = 150;
const MAX_ANSWERS = 10;

/** What one test of a group has for itself: a nats-server, a folder, the members it starts in this process, their clients. */
export interface GroupWorld {
  readonly nats: NatsProcess;
  readonly nc: NatsConnection;
  readonly dir: string;
  /** All that were started, in that order. */
  readonly members: readonly InProcess[];
  /** Starts a member of group g on the store in `dir`. A flag that is '' is left out. */
  start(node: string, flags?: Readonly<Record<string, string>>): Promise<InProcess>;
  /** By the names of their nodes. */
  statuses(group?: string, clusterId?: string): Promise<MemberStatus[]>;
  /** Waits until one is active and so many watch, which have seen its store: they can listen during a handover. @returns the active one */
  settled(standbys: number, group?: string, clusterId?: string): Promise<MemberStatus>;
  client(id: string, clusterId?: string): Promise<StanClient>;
  /** Asks until the active agrees: on a machine that stands still for a moment it knows of no standby. */
  handOver(): Promise<unknown>;
}

export async function groupWorld(t: TestContext): Promise<GroupWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'stanchion-group-'));
  const nats = await NatsProcess.start();
  const nc = await connect({ servers: nats.url });
  const members: InProcess[] = [];
  const clients: StanClient[] = [];
  t.after(async () => {
    for (const client of clients) client.drop();
    await Promise.all(members.map(({ broker }) => broker.stop()));
    await nc.close();
    await nats.stop();
    await rm(dir, { recursive: true });
  });

  async function statuses(group = GROUP, clusterId = CLUSTER_ID): Promise<MemberStatus[]> {
    const found: MemberStatus[] = [];
    await askAll(nc, {
      subject: groupSubjects(clusterId, group).status,
      payload: Buffer.alloc(0),
      answerMs: ANSWER_MS,
      take: (data) => found.push(JSON.parse(Buffer.from(data).toString())) === MAX_ANSWERS,
    });
    return found.sort((a, b) => a.node.localeCompare(b.node));
  }

  return {
    ...{ nats, nc, dir, members, statuses },
    start: async (node, flags = {}) => {
      const all = {
        'cluster-id': CLUSTER_ID,
        'ft-group': GROUP,
        store: 'file',
        dir: join(dir, 'store'),
        'nats-server': nats.url,
        'node-name': node,
        ...flags,
      };
      const given = Object.entries(all).filter(([, value]) => value !== '');
      const member = await InProcess.start(Object.fromEntries(given));
      members.push(member);
      return member;
    },
    settled: async (standbys, group, clusterId) => {
      let found: MemberStatus[] = [];
      const ofRole = (role: string): MemberStatus[] => found.filter((status) => status.role === role);
      await waitFor(
        async () => {
          found = await statuses(group, clusterId);
          const storeIds = new Set(found.map(({ store }) => store.storeId));
          return (
            ofRole('active').length === 1 && ofRole('standby').length === standbys && storeIds.size === 1
          );
        },
        () => `one active and ${standbys} standbys on one store: ${JSON.stringify(found)}`,
      );
      return ofRole('active')[0]!;
    },
    client: async (id, clusterId = CLUSTER_ID) => {
      const connected = await StanClient.connect(nats.url, clusterId, id);
      clients.push(connected);
      return connected;
    },
    handOver: async () => {
      let answer: HandoverAnswer = { ok: false, error: 'not asked' };
      const group = { clusterId: CLUSTER_ID, group: GROUP, dir: join(dir, 'store') };
      await waitFor(
        async () => {
          answer = await askToHandOver(nc, group);
          return answer.ok;
        },
        () => `the active hands over: ${JSON.stringify(answer)}`,
      );
      return answer;
    },
  };
}

/** Copies a store that is in use: right after its lease was renewed, since the next renewal renames a file of it. */
export async function copyStore(from: string, to: string): Promise<void> {
  const lease = (): string => readdirSync(join(from, 'lease')).join();
  const before = lease();
  await waitFor(() => lease() !== before, 'a renewal');
  cpSync(from, to, { recursive: true });
}
