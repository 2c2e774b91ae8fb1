import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { ServerLog } from './server-log.js';
import { probe } from './server-probe.js';

/** A nats-server cannot be started, and a retry does not help. The message says what to do. */
export class NatsServerError extends Error {
  override name = 'NatsServerError';
}

const PROBE_TIMEOUT_MS = 1_000;

/** A server name that shows that a broker has started the nats-server, and which one. */
export function newServerName(): string {
  return `stanchion-${process.pid}-${randomBytes(4).toString('hex')}`;
}

export function missingBinary(binary: string): NatsServerError {
  const where = binary.includes('/') ? '' : ' on PATH';
  return new NatsServerError(
    `there is no ${binary}${where}: install one (Debian, Ubuntu: apt-get install nats-server), ` +
      'or attach to a running one with --nats-server URL',
  );
}

/**
 * Explains why a nats-server did not start. If its port is taken, it looks what listens there.
 *
 * @param failure how the process ended
 * @param log its log
 */
export async function explainFailedStart(
  failure: string,
  log: ServerLog,
  host: string,
  port: number,
  clock: Clock,
): Promise<NatsServerError> {
  const taken = log.lastLines.find((line) => line.includes('address already in use'));
  if (taken === undefined) {
    return new NatsServerError(
      `nats-server did not start (${failure}): ${log.complaint || 'it printed nothing'}. Check its flags and its configuration file`,
    );
  }
  const takenPort = Number(/:(\d+): bind/.exec(taken)?.[1] ?? port);
  const see = `ss -ltnp 'sport = :${takenPort}' shows its process`;
  if (takenPort !== port) {
    return new NatsServerError(
      `port ${takenPort}, which nats-server needs (${taken}), is taken already: stop what listens there (${see}), or choose another`,
    );
  }
  const holder = await probe(host, port, PROBE_TIMEOUT_MS, clock);
  if (holder.kind !== 'nats-server') {
    return new NatsServerError(
      `port ${port} is taken already, not by a nats-server: stop what listens there (${see}), or choose another with --port`,
    );
  }
  const { serverName, version } = holder.info;
  const ours = /^stanchion-(\d+)-/.exec(serverName);
  if (ours) {
    const owner = ours[1];
    return new NatsServerError(
      `port ${port} is taken already, by nats-server ${serverName}, which the broker with process id ${owner} started: ` +
        `if that broker is gone, end its nats-server (${see}); if it runs, choose another port with --port`,
    );
  }
  return new NatsServerError(
    `port ${port} is taken already, by nats-server ${serverName} (version ${version}): attach to it with ` +
      `--nats-server nats://${host}:${port}, stop it (${see}), or choose another port with --port`,
  );
}
