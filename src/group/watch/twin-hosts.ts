import type { Clock } from '../../clock/clock.js';
import { parseHolder } from '../../lease/process-identity.js';
import type { Logger } from '../../log/logger.js';

/** How long a silent twin counts: a machine that was restarted is not its own twin. */
const HEARD_MS = 10_000;
/** Limit of twins that are remembered. */
const MAX_TWINS = 8;

export interface TwinHostsOptions {
  clock: Clock;
  log: Pick<Logger, 'warn'>;
  /** The name of this member in the lease: it has the host's name, and the boot of its machine. */
  holder: string;
}

/**
 * Other machines of the group that have the host name of this one. By that name an NFS server knows its clients: it takes two machines of
 * one name for one client that restarts all the time, and ends the sessions of each when the other one begins its own. Every file call
 * then takes seconds now and then, and the lease changes hands.
 */
export class TwinHosts {
  readonly #options: TwinHostsOptions;
  readonly #host: string | undefined;
  readonly #machine: string | undefined;
  /** When each member on a twin was heard last, by the clock's monotonic milliseconds. */
  readonly #heard = new Map<string, number>();

  constructor(options: TwinHostsOptions) {
    this.#options = options;
    const own = parseHolder(options.holder);
    this.#host = own?.identity.host;
    this.#machine = own && machineOf(own.identity.start);
  }

  /** Notes a heartbeat of another member: its name in the lease. */
  heard(member: string): void {
    const other = parseHolder(member);
    if (other === undefined || other.identity.host !== this.#host) return;
    const machine = machineOf(other.identity.start);
    if (machine === undefined || this.#machine === undefined || machine === this.#machine) return;
    const { clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const isNew = !this.#heard.has(member);
    if (isNew) this.#forgetSilent(nowMs);
    if (isNew && this.#heard.size >= MAX_TWINS) return;
    this.#heard.set(member, nowMs);
    if (isNew) log.warn({ other: other.nodeName, host: this.#host }, twinText(this.#host, [other.nodeName]));
  }

  /** The members on other machines with this host name, for people; undefined if there are none. */
  get problem(): string | undefined {
    this.#forgetSilent(this.#options.clock.monotonicMs());
    if (this.#heard.size === 0 || this.#host === undefined) return undefined;
    const nodes = Array.from(this.#heard.keys(), (member) => parseHolder(member)?.nodeName ?? member);
    return twinText(this.#host, nodes);
  }

  #forgetSilent(nowMs: number): void {
    for (const [member, heardMs] of this.#heard) if (nowMs - heardMs > HEARD_MS) this.#heard.delete(member);
  }
}

function twinText(host: string, nodes: readonly string[]): string {
  return (
    `the machine of ${nodes.join(', ')} has the same host name as this one, "${host}". An NFS server takes the two for one client, and ends the session ` +
    'of each for the other: file calls then take seconds, and the lease changes hands. Give each machine a host name of its own, or its NFS client ' +
    'a name (nfs.nfs4_unique_id), and mount anew. Where the clients have such names, and with another file system, this does no harm'
  );
}

/** The boot of a machine: containers on one machine share it. @returns undefined where the system does not say */
function machineOf(start: string): string | undefined {
  const [boot] = start.split('-');
  return boot === undefined || boot === '' ? undefined : boot;
}
