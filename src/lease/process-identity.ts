import type { StoreFs } from '../files/fs.js';

/** Identifies a process among all others of its host, also among later ones with its pid. */
export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Boot of the machine and start of the process; '' where the system does not tell. */
  start: string;
}

/** Where processes are looked up; from outside, so that a simulator has its own. */
export interface Processes {
  self(): Promise<ProcessIdentity>;
  /** Certainly no longer there. A process of another host never is. */
  isDead(identity: ProcessIdentity): Promise<boolean>;
}

/** The machine's processes, as /proc shows them. Where there is no /proc, no process is known to be dead. */
export function machineProcesses(fs: StoreFs, host: string, pid: number): Processes {
  const world = worldOf(fs);
  const startOf = async (other: number): Promise<string | undefined> => {
    const [where, start] = [await world, await startTimeOf(fs, other)];
    return where === undefined || start === undefined ? undefined : `${where}-${start}`;
  };
  return {
    self: async () => ({ host, pid, start: (await startOf(pid)) ?? '' }),
    isDead: async (identity) => {
      const where = await world;
      // Process ids of another container mean nothing here, even under the same host name.
      if (where === undefined || identity.host !== host || !identity.start.startsWith(`${where}-`))
        return false;
      return (await startOf(identity.pid)) !== identity.start;
    },
  };
}

/** The boot of the machine, and the first process of this container: within it process ids are unique at a time. */
async function worldOf(fs: StoreFs): Promise<string | undefined> {
  const boot = await readText(fs, '/proc/sys/kernel/random/boot_id');
  const first = await startTimeOf(fs, 1);
  return boot === undefined || first === undefined ? undefined : `${boot.slice(0, 8)}-${first}`;
}

const START_TIME_FIELD = 22;

/** In clock ticks since the boot. */
async function startTimeOf(fs: StoreFs, pid: number): Promise<string | undefined> {
  const stat = await readText(fs, `/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // Field 2 is the command in parentheses, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds nothing any more.
  return fields[0] === 'Z' ? undefined : fields[START_TIME_FIELD - 3];
}

async function readText(fs: StoreFs, path: string): Promise<string | undefined> {
  try {
    const file = await fs.open(path, 'read');
    try {
      const buffer = Buffer.alloc(4096);
      return buffer.toString('latin1', 0, await file.read(buffer, 0, buffer.length, 0));
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** As a holder of the lease is named: node@host@pid@start. */
export function holderOf(nodeName: string, identity: ProcessIdentity): string {
  const plain = (text: string, length: number): string =>
    text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, length);
  return [plain(nodeName, 48), plain(identity.host, 52), identity.pid, plain(identity.start, 40)].join('@');
}

/** @returns undefined if the holder is not named so */
export function parseHolder(holder: string): { nodeName: string; identity: ProcessIdentity } | undefined {
  const [nodeName, host, pid, start] = holder.split('@');
  if (nodeName === undefined || host === undefined || pid === undefined || start === undefined)
    return undefined;
  return { nodeName, identity: { host, pid: Number(pid), start } };
}

/** Whether the process of a holder has certainly ended. False when in doubt. */
export async function isHolderDead(holder: string, processes: Processes): Promise<boolean> {
  const parsed = parseHolder(holder);
  return parsed !== undefined && (await processes.isDead(parsed.identity));
}
