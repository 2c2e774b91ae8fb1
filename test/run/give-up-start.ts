// A process that gives up to start a broker as soon as it has to do with NATS, and has nothing else to do.
import { type Logger, startBroker } from '../../src/server.js';

const [natsServer, dir, ftGroup] = process.argv.slice(2);
const given = new AbortController();
const say = (_fields: unknown, message: string): void => {
  if (message.includes('NATS')) given.abort(new Error('enough'));
};
const log: Logger = { debug: say, info: say, warn: say, error: say, child: () => log };
const { signal } = given;
await startBroker({ natsServer, store: 'file', dir, ftGroup, log, signal }).catch((error: Error) =>
  console.log(`given up: ${error.message}`),
);
