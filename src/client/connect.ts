import { shownUrls } from '../util/server-url.js';
import { ConnectError } from './client-errors.js';
import { type ConnectOptions, type ResolvedOptions, resolveOptions } from './connect-options.js';
import { Connection } from './connection.js';
import { dial } from './dial-nats.js';
import type { NatsConnection } from './nats-connection.js';
import type { StanConnection } from './stan-connection.js';

/**
 * Connects to NATS, and to the broker of a cluster id.
 *
 * @throws ConnectError if there is no answer, if the server refuses (`serverText`: `stan: clientID already registered`), or if NATS
 *   cannot be reached (the error of nats.js is the `cause`); InvalidOptionError
 */
export async function connect(options: ConnectOptions): Promise<StanConnection> {
  const resolved = resolveOptions(options);
  const nats = borrowed(resolved) ?? (await openNats(resolved));
  try {
    return await Connection.open(nats, resolved);
  } catch (error) {
    if (resolved.natsConnection === undefined) await nats.close();
    throw error;
  }
}

function borrowed({ natsConnection }: ResolvedOptions): NatsConnection | undefined {
  if (natsConnection?.isClosed() || natsConnection?.isDraining())
    throw new ConnectError('the natsConnection is closed, or being drained', {
      code: 'CONNECT_REFUSED',
      hint: 'Give one that is open',
    });
  return natsConnection;
}

async function openNats({ natsOptions }: ResolvedOptions): Promise<NatsConnection> {
  try {
    return await dial(natsOptions);
  } catch (cause) {
    const servers = [natsOptions.servers ?? '127.0.0.1:4222'].flat().map(shownUrls).join(',');
    throw new ConnectError(`NATS cannot be reached at ${servers}: ${(cause as Error).message}`, {
      code: 'CONNECT_REFUSED',
      hint: 'Is a nats-server there, and are user, password, token or TLS right?',
      cause: withoutInput(cause),
    });
  }
}

/** The error of a URL that is none has the URL in it, with its password. */
function withoutInput(cause: unknown): unknown {
  return cause instanceof TypeError && 'input' in cause ? new TypeError(cause.message) : cause;
}
