import type { NatsConnection } from '@nats-io/transport-node';
import type { MemberStatus } from '../group/report/member-status.js';
import { groupSubjects } from '../group/talk/group-subjects.js';
import type { FaultKind } from './drill-options.js';
import { GroupError } from './watched-group.js';

/** What can be done to the processes of a group. */
export interface GroupProcesses {
  /** Makes sure that the member's process can be signalled from here. @throws GroupError if not */
  checkReach(member: MemberStatus): Promise<void>;
  /** Signals the process of a member. @throws GroupError if that cannot be */
  signal(member: MemberStatus, signal: NodeJS.Signals): void;
  /** Signals the nats-server that a member is connected to. @throws GroupError if that cannot be */
  signalServer(member: MemberStatus, signal: NodeJS.Signals): void;
}

/** A fault that has struck. */
export interface Struck {
  /** Takes it back, if it is of that kind. Done once; does nothing the second time. Does not wait, so that it can be done at an exit. */
  undo(): void;
}

const HANDOVER_MS = 5_000;

/** Strikes the active. */
export class Faults {
  readonly #processes: GroupProcesses;
  readonly #nats: NatsConnection;

  constructor(processes: GroupProcesses, nats: NatsConnection) {
    this.#processes = processes;
    this.#nats = nats;
  }

  /** @throws GroupError if it cannot be done */
  async strike(kind: FaultKind, active: MemberStatus): Promise<Struck> {
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

  async #askToHandOver({ clusterId, group }: MemberStatus): Promise<void> {
    const { handover } = groupSubjects(clusterId, group);
    const answer = await this.#nats.request(handover, undefined, { timeout: HANDOVER_MS }).catch((error) => {
      throw new GroupError(`nobody answers the request to hand over: ${(error as Error).message}`);
    });
    const { ok, error } = answer.json<{ ok: boolean; error?: string }>();
    if (!ok) throw new GroupError(`the active refuses to hand over: ${error}`);
  }
}

const nothingToUndo: Struck = { undo: () => {} };

/** A process that stands still until it is undone, also if this process is ended meanwhile. */
function stopped(signal: (signal: NodeJS.Signals) => void): Struck {
  let isUndone = false;
  const undo = (): void => {
    if (isUndone) return;
    isUndone = true;
    process.removeListener('exit', undo);
    try {
      signal('SIGCONT');
    } catch {
      // It has died meanwhile: it does not stand still.
    }
  };
  process.on('exit', undo);
  signal('SIGSTOP');
  return { undo };
}
