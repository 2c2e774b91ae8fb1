import type { RunningBroker } from './assembly/running.js';
import type { ServeConfig } from './config/serve-config.js';
import type { Logger } from './log/logger.js';

export type { RunningBroker, StopReason } from './assembly/running.js';
export type { ServeConfig } from './config/serve-config.js';

/**
 * Starts a broker in this process: its nats-server if it has one, its store, its place in NATS. With a group it is a member,
 * active or standby.
 *
 * @throws Error saying what is in the way: a port that is taken, a store that is held or damaged, NATS that cannot be reached
 */
export async function startBroker(config: ServeConfig, options: { log: Logger }): Promise<RunningBroker> {
  const { group, store } = config;
  if (group !== undefined && store.kind === 'file') {
    const { RunningMember } = await import('./group/running-member.js');
    return new RunningMember({ ...config, group, store }, options.log).start();
  }
  const { BrokerAlone } = await import('./assembly/alone.js');
  return new BrokerAlone(config, options.log).start();
}
