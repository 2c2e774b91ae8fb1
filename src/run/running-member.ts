// A member of a group in this process: its parts, put together.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { Probe } from '../broker/check/probe.js';
import { SelfCheck } from '../broker/check/self-check.js';
import { ackSubject } from '../broker/served-subjects.js';
import { systemClock } from '../clock/clock.js';
import { nodeFs, type StoreFs } from '../files/fs.js';
import { selfTestFile, testFileSystem } from '../files/self-test.js';
import { SEAL_BYTES } from '../group/proof/seal.js';
import { encodeStatus, type MemberStatus } from '../group/report/member-status.js';
import { activeService } from '../group/roles/active-service.js';
import { HandoverRequests } from '../group/roles/handover-requests.js';
import { Member } from '../group/roles/member.js';
import { AttachedTransport, type GroupRequest } from '../group/talk/attached-transport.js';
import { GroupClocks } from '../group/talk/group-clocks.js';
import { groupSubjects } from '../group/talk/group-subjects.js';
import { GroupTalk } from '../group/talk/group-talk.js';
import { candidateLock } from '../lease/candidate-lock.js';
import { Lease } from '../lease/lease.js';
import { askServer } from '../lease/lease-folder.js';
import type { StartRenewer } from '../lease/lease-renewer.js';
import { holderOf, isHolderDead, machineProcesses } from '../lease/process-identity.js';
import { RenewalThread } from '../lease/renewal-thread.js';
import { StoreAnchor } from '../lease/store-anchor.js';
import type { Logger } from '../log/logger.js';
import { encodeView, viewRequestOf } from '../monitor/view.js';
import type { NatsRefusal } from '../nats/refusal.js';
import { stanSubjects } from '../protocol/stan-subjects.js';
import { checkIdentity } from '../store/file/identity.js';
import { newStoreId } from '../store/types/store-id.js';
import { must } from '../util/assert.js';
import { VERSION } from '../version.js';
import { Assembly, brokerOptions } from './assembly.js';
import { bootIdOf } from './boot-id.js';
import { storeProblems } from './broker-node.js';
import { GroupQuestions } from './group-questions.js';
import { logMadeStore } from './made-store.js';
import { type MemberConfig, MemberNode } from './member-node.js';
import type { Rehearsal } from './rehearsal/rehearsal.js';

/** The random name of a process among those whose messages are proved. */
const BOOT_BYTES = 8;
/** After 10 ms of work: a rehearsal takes a quarter of one processor at most. */
const REHEARSAL_PAUSE_MS = 30;
const MADE = 'the member is made before its transport is started';

/** The members of this process, by node name and folder: two members with the same would each take the other's lease for their own. */
const members = new Set<string>();

/** A member of a group. The group decides whether it is active or standby. */
export class RunningMember extends Assembly<MemberNode> {
  #transport: AttachedTransport | undefined;
  #renewals: RenewalThread | undefined;
  #member: Member | undefined;
  #selfCheck: SelfCheck | undefined;
  #anchor: StoreAnchor | undefined;
  #rehearsal: Rehearsal | undefined;
  #holder = '';
  #name: string | undefined;

  declare protected readonly config: MemberConfig;

  constructor(config: MemberConfig, log: Logger) {
    super(config, log, new MemberNode(config, newStoreId(randomBytes), systemClock));
  }

  protected async startParts(signal: AbortSignal): Promise<void> {
    const { config, log } = this;
    const { dir } = config.store;
    this.#takeName();
    await this.startHttp();
    // The store of another cluster must not be touched, nor its broker disturbed. (If the mount hangs, the start waits here.)
    await checkIdentity(nodeFs, dir, config.clusterId);
    signal.throwIfAborted();
    const nats = await this.startNatsServer(signal);
    signal.throwIfAborted();
    const renewals = await RenewalThread.start(dir, log.child({ component: 'renewals' }));
    this.#renewals = renewals;
    const processes = machineProcesses(nodeFs, hostname(), process.pid);
    this.#holder = holderOf(config.nodeName, await processes.self());
    // Member and transport need each other: the member uses the transport only after it is made.
    let member: Member | undefined;
    const made = (): Member => must(member, MADE);
    const probe = new Probe(randomBytes);
    let selfCheck: SelfCheck | undefined;
    let handovers: HandoverRequests | undefined;
    const subjects = groupSubjects(config.clusterId, config.group.name);
    const talk = new GroupTalk({
      ...{ subjects, clock: this.clock, log },
      holder: this.#holder,
      boot: randomBytes(BOOT_BYTES).toString('hex'),
    });
    const transport = new AttachedTransport({
      config: nats,
      name: `stanchion ${config.nodeName}`,
      version: VERSION,
      logger: log,
      subjects,
      handler: {
        onLinkUp: (link) => made().handler.onLinkUp(link),
        onLinkDown: (reason) => made().handler.onLinkDown(reason),
        onDrain: () => made().handler.onDrain(),
        onGroupMessage: (payload) => made().handler.onGroupMessage(payload),
      },
      status: (request) => this.#answerStatus(talk, request),
      handOver: ({ payload }) => handovers?.answer(payload),
      view: (request) => this.#answerView(talk, request),
      onLinkUp: (server) => this.node.linkUp(server),
      onLinkDown: (reason) => this.node.linkDown(reason),
      onBroken: this.broken,
      clock: this.clock,
      onRefused: (refusal) => {
        this.node.refused(refusal);
        selfCheck?.refused(refusal);
        if (refusal.connection === 'control' && isTalk(refusal)) member?.talkRefused(refusal);
      },
    });
    this.#transport = transport;
    selfCheck = this.#makeSelfCheck(transport, probe);
    this.#selfCheck = selfCheck;
    const questions = new GroupQuestions({ transport, talk, config });
    member = this.#makeMember(talk, transport, questions, probe, renewals.keep, (holder) =>
      isHolderDead(holder, processes),
    );
    handovers = new HandoverRequests(talk, subjects.handover, this.#holder, member);
    this.#member = this.node.member = member;
    this.node.ownStatus = () => this.#status();
    this.node.askMembers = () => questions.members(config.group.name);
    this.node.askActive = (request) => questions.activeView(subjects.view, request);
    member.onFatal = (error) => this.fail(error);
    member.onChanged = () => {
      if (member.role === 'active') this.#rehearsal?.release();
      if (member.role !== 'active' && member.role !== 'standby') return;
      this.node.isStarted = true;
      this.onReady();
    };
    await transport.start(signal);
    signal.throwIfAborted();
    await selfCheck.start();
    signal.throwIfAborted();
    await member.start(signal);
    if (!this.isStopping) await this.#rehearse(member).catch(this.rehearsalFailed);
  }

  protected async closeParts(): Promise<void> {
    this.#rehearsal?.release();
    try {
      await this.#member?.stop();
      this.#selfCheck?.stop();
      this.#anchor?.close();
      await this.#renewals?.close();
      await this.#transport?.close();
    } finally {
      if (this.#name !== undefined) members.delete(this.#name);
    }
  }

  /** Warms the code of a takeover while there is time. */
  async #rehearse(member: Member): Promise<void> {
    // The code is loaded when the member is ready: it has hours for it.
    const { Rehearsal } = await import('./rehearsal/rehearsal.js');
    if (this.isStopping || member.role !== 'standby') return;
    this.#rehearsal = new Rehearsal({
      kind: 'file',
      broker: brokerOptions(this.config),
      pauseMs: REHEARSAL_PAUSE_MS,
      collectsGarbage: true,
      isIdle: () => member.isIdle,
      onFailed: this.rehearsalFailed,
    });
    this.#rehearsal.start();
  }

  /** @throws Error if another member in this process has the same node name and folder */
  #takeName(): void {
    const { nodeName, store } = this.config;
    const name = `${nodeName} ${resolve(store.dir)}`;
    if (members.has(name)) {
      throw new Error(
        `This process has a member "${nodeName}" of the group on ${store.dir} already: give each one its own nodeName`,
      );
    }
    members.add(name);
    this.#name = name;
  }

  #makeSelfCheck(transport: AttachedTransport, probe: Probe): SelfCheck {
    const { clusterId, discoverPrefix } = this.config;
    return new SelfCheck({
      clock: this.clock,
      log: this.log,
      connections: transport,
      clusterId,
      subjects: stanSubjects(clusterId, discoverPrefix),
      probe,
      // Before there is a store, any subject will do.
      ackSubject: () => ackSubject(this.#member?.storeId || 'none'),
      serving: () => this.#member?.servingBroker,
      onBroken: this.broken,
    });
  }

  #makeMember(
    talk: GroupTalk,
    transport: AttachedTransport,
    questions: GroupQuestions,
    probe: Probe,
    startRenewer: StartRenewer,
    isDead: (holder: string) => Promise<boolean>,
  ): Member {
    const config = this.config;
    const log = this.log;
    const { clusterId, discoverPrefix, nodeName, group } = config;
    const { dir, sync } = config.store;
    const fs = nodeFs;
    const clock = systemClock;
    const { measures } = this.node;
    const anchor = new StoreAnchor(fs, dir);
    this.#anchor = anchor;
    const warn = (message: string): void => log.warn({}, message);
    const clocks = new GroupClocks(clock, log);
    return new Member(
      {
        options: { name: group.name, nodeName, leaseMs: group.leaseMs },
        holder: this.#holder,
        dir,
        clock,
        clocks,
        talk,
        log,
        measures,
        lease: new Lease(fs, dir, true),
        lock: candidateLock(fs, dir, warn),
        startRenewer,
        isDead,
        lookAtPlace: () => anchor.look(),
        readIdentity: async (isFresh) => {
          if (isFresh) await askForFolder(fs, dir);
          return await checkIdentity(fs, dir, clusterId);
        },
        testStore: (epoch) => testFileSystem(fs, dir, epoch, randomBytes(6).toString('hex')),
        transport,
        serviceProblem: () => this.#selfCheck?.problem,
        findServer: () => questions.isServed(),
        findActives: () => questions.actives(),
        openService: activeService({
          store: {
            fs,
            clock,
            random: randomBytes,
            dir,
            clusterId,
            sync,
            isTested: true,
            bootId: bootIdOf(),
            believed: clocks.believed,
            continued: () => clocks.continued(),
            onMade: logMadeStore(log, dir),
            warn,
            measures,
          },
          broker: {
            options: brokerOptions(config),
            clock,
            log,
            measures,
            pinger: transport.pinger,
            probe,
            hashSeed: randomBytes(4).readUInt32LE(),
            random: randomBytes,
            defer: setImmediate,
          },
        }),
        onContend: () => this.#rehearsal?.stop(),
      },
      stanSubjects(clusterId, discoverPrefix),
    );
  }

  #status(): MemberStatus {
    const { clusterId, nodeName, group, store } = this.config;
    const member = must(this.#member, MADE);
    const { broker, lastTakeover } = member;
    const { otherGroup } = member.health;
    const foreignGroup = otherGroup === undefined ? [] : [otherGroup];
    let messages = 0;
    for (const channel of broker?.channels.all() ?? []) messages += channel.log.messageCount;
    return {
      version: VERSION,
      clusterId,
      group: group.name,
      node: nodeName,
      member: this.#holder,
      host: hostname(),
      pid: process.pid,
      role: member.role,
      epoch: member.epoch,
      roleForMs: Math.round(member.roleForMs),
      leaseMs: group.leaseMs,
      leaseAgeMs: member.leaseAgeMs === undefined ? null : Math.round(member.leaseAgeMs),
      natsServer: must(this.#transport, MADE).server,
      store: { kind: 'file', dir: store.dir, storeId: member.storeId },
      clients: broker?.clients.size ?? 0,
      channels: broker?.channels.size ?? 0,
      messages,
      takeovers: member.takeovers,
      lastTakeover: lastTakeover ?? null,
      takeoverHistory: member.history.all,
      trouble: member.health.complaint ?? null,
      warnings: [
        ...storeProblems(broker),
        ...member.clocks.problems,
        ...foreignGroup,
        ...oneOrNone(member.ignored.problem),
      ],
      needsProof: member.needsProof,
      dispute: member.dispute ?? null,
      peers: member.peers,
    };
  }

  #answerStatus(talk: GroupTalk, { subject, payload, maxBytes }: GroupRequest): Uint8Array {
    const status = encodeStatus(this.#status(), maxBytes - SEAL_BYTES);
    return talk.answer(subject, payload, status);
  }

  /** Anyone may ask for the status; for views only members, since they cost more and say more. */
  #answerView(
    talk: GroupTalk,
    { subject, payload, maxBytes }: GroupRequest,
  ): (() => Promise<Uint8Array | undefined>) | undefined {
    if (this.#member?.role !== 'active') return undefined;
    const request = viewRequestOf(talk.asked(subject, payload));
    if (request === undefined) return undefined;
    return async () => {
      const view = await this.http?.dashboard.answer(request);
      return view && talk.answer(subject, payload, encodeView(view, maxBytes - SEAL_BYTES));
    };
  }
}

function oneOrNone(text: string | undefined): string[] {
  return text === undefined ? [] : [text];
}

function isTalk({ operation, subject }: NatsRefusal): boolean {
  return operation === 'subscription limit' || subject?.startsWith('_STANCHION.') === true;
}

/** Makes a mount ask the file server for the folder of a store, and leaves everything as it was. */
async function askForFolder(fs: StoreFs, dir: string): Promise<void> {
  if ((await fs.status(dir)) !== undefined) {
    await askServer(fs, `${dir}/${selfTestFile(0, `look.${randomBytes(6).toString('hex')}`)}`);
    return;
  }
  if ((await fs.status(dirname(dir))) === undefined) return;
  // The mount may remember that there was no such folder. An attempt to make it asks the file server.
  await fs.makeDirectory(dir);
  if ((await fs.list(dir)).length === 0) await fs.removeDirectory(dir).catch(() => {});
}
