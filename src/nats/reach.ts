import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { shownUrls } from '../util/server-url.js';

/** Connects a command to NATS. @throws Error saying what to check if NATS cannot be reached */
export async function reachNats(options: NodeConnectionOptions): Promise<NatsConnection> {
  try {
    return await connect(options);
  } catch (cause) {
    const servers = [options.servers ?? []].flat().map(shownUrls).join(', ');
    throw new Error(
      `NATS cannot be reached at ${servers}: ${(cause as Error).message}. Is a nats-server there, and are user, password, token or TLS right?`,
      { cause },
    );
  }
}
