import { hostname } from 'node:os';
import { systemClock } from '../clock/clock.js';
import { nodeFs } from '../files/fs.js';
import { candidateLock } from '../lease/candidate-lock.js';
import { Lease } from '../lease/lease.js';
import { startRenewer } from '../lease/lease-renewer.js';
import { type LoneLease, takeLoneLease } from '../lease/lone-lease.js';
import { machineProcesses } from '../lease/process-identity.js';
import { printable } from '../util/printable.js';

/** How long a holder that cannot be asked is watched, unless its own lease is longer. */
const HOLDER_MS = 10_000;

/**
 * Takes the lease of a store's folder for a command that writes to it, as a lone broker does.
 *
 * @param nodeName what others see as its holder
 * @param isStoreThere the folder is a store; false for one that is to become a store
 * @throws StoreError `held` if a broker, or another command, has it
 */
export async function takeStore(dir: string, nodeName: string, isStoreThere: boolean): Promise<LoneLease> {
  // The clock's timers do not keep a process alive, and watching a holder uses nothing else.
  const keepAlive = setInterval(() => {}, 1000);
  const warn = (message: string): void => void process.stderr.write(`${printable(message)}\n`);
  return takeLoneLease({
    ...{ clock: systemClock, dir, nodeName, leaseMs: HOLDER_MS, isStoreThere, warn },
    lease: new Lease(nodeFs, dir, true),
    lock: candidateLock(nodeFs, dir, warn),
    startRenewer,
    processes: machineProcesses(nodeFs, hostname(), process.pid),
    onWait: (text) => warn(text),
    // The next fence fails, and with it the command.
    onLost: () => {},
  }).finally(() => clearInterval(keepAlive));
}
