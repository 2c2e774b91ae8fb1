import type { StartBroker } from './running-broker.js';

/**
 * Starts a broker in this process: its nats-server if it has one, its store, its NATS transport. With a group it is a member,
 * active or standby. Only now is their code loaded: other commands do without it.
 *
 * @throws Error saying what is in the way: a taken port, a store that is held or damaged; the signal's reason, after everything is
 *   closed again
 */
export const startBroker: StartBroker = async (config, { log, signal }) => {
  const { group, store } = config;
  if (group !== undefined && store.kind === 'file') {
    const { RunningMember } = await import('./running-member.js');
    return new RunningMember({ ...config, group, store }, log).start(signal);
  }
  const { BrokerAlone } = await import('./alone.js');
  return new BrokerAlone(config, log).start(signal);
};
