import type { NatsConnection } from '@nats-io/transport-node';
import type { MemberStatus } from '../group/report/member-status.js';
import { parseJson } from '../group/talk/group-messages.js';
import { groupSubjects } from '../group/talk/group-subjects.js';
import { encodeHandoverRequest } from '../group/talk/handover-request.js';
import { isObject } from '../util/fields.js';
import type { FaultKind } from './drill-options.js';
import { GroupError } from './watched-group.js';

/** The processes of a group, which a drill signals, and the key with which it asks them. */
export interface GroupProcesses {
  groupKey(): Promise<Buffer | undefined>;
  /** Checks that the member's process can be signalled from here. @throws GroupError if not */
  checkReach(member: MemberStatus): Promise<void>;
  /** Signals the process of a member. @throws GroupError if that is impossible */
  signal(member: MemberStatus, signal: NodeJS.Signals): void;
  /** Signals the nats-server of a member. @throws GroupError if that is impossible */
  signalServer(member: MemberStatus, signal: NodeJS.Signals): void;
}

/** A fault that was injected. */
export interface InjectedFault {
  /** Undoes the fault, if that is possible. A second call has no effect. It is synchronous, so that it works at an exit. */
  undo(): void;
}

const HANDOVER_MS = 5_000;
const MAX_ERROR_LENGTH = 1_000;

/** Injects faults into the active. */
export class Faults {
  readonly #processes: GroupProcesses;
  readonly #nats: NatsConnection;

  constructor(processes: GroupProcesses, nats: NatsConnection) {
    this.#processes = processes;
    this.#nats = nats;
  }

  /** @throws GroupError if the fault cannot be injected */
  async inject(kind: FaultKind, active: MemberStatus): Promise<InjectedFault> {
    const processes = this.#processes;
    if (kind !== 'handover') await processes.checkReach(active);
    switch (kind) {
      case 'term':
        processes.signal(active, 'SIGTERM');
        return nothingToUndo;
      case 'kill':
        processes.signal(active, 'SIGKILL');
        return nothingToUndo;
      case 'pause':
        return stopped((signal) => processes.signal(active, signal));
      case 'cut':
        return stopped((signal) => processes.signalServer(active, signal));
      case 'handover':
        await this.#askToHandOver(active);
        return nothingToUndo;
    }
  }

  async #askToHandOver({ clusterId, group, member, epoch }: MemberStatus): Promise<void> {
    const { handover } = groupSubjects(clusterId, group);
    const key = await this.#processes.groupKey();
    const request = encodeHandoverRequest(key, handover, { member, epoch, number: Date.now() });
    const answer = await this.#nats.request(handover, request, { timeout: HANDOVER_MS }).catch((error) => {
      throw new GroupError(`the request to hand over got no answer: ${(error as Error).message}`);
    });
    const problem = handoverProblem(answer.data);
    if (problem !== undefined) throw new GroupError(problem);
  }
}

/** @returns why the active does not hand over, as far as its answer says */
function handoverProblem(data: Uint8Array): string | undefined {
  const answer = parseJson(data);
  if (!isObject(answer) || typeof answer.ok !== 'boolean')
    return 'the answer to the request to hand over is malformed: another program answers on the subjects of groups';
  return answer.ok
    ? undefined
    : `the active refuses to hand over: ${String(answer.error).slice(0, MAX_ERROR_LENGTH)}`;
}

const nothingToUndo: InjectedFault = { undo: () => {} };

/** Pauses a process until `undo`, or until this process exits. */
function stopped(signal: (signal: NodeJS.Signals) => void): InjectedFault {
  let isUndone = false;
  const undo = (): void => {
    if (isUndone) return;
    isUndone = true;
    process.removeListener('exit', undo);
    try {
      signal('SIGCONT');
    } catch {
      // The process has died meanwhile.
    }
  };
  process.on('exit', undo);
  signal('SIGSTOP');
  return { undo };
}
