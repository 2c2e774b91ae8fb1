// A process that supervises a nats-server until it is killed.
import { silentLogger } from '../../src/log/logger.js';
import { SupervisedServer } from '../../src/nats/supervised-server.js';

const server = await SupervisedServer.start({
  config: {
    binary: 'nats-server',
    host: '127.0.0.1',
    port: 0,
    clusterUrl: undefined,
    clusterName: undefined,
    routes: [],
    configFile: undefined,
    flags: [],
  },
  credentials: { user: undefined, pass: undefined, token: undefined },
  logger: silentLogger,
});
console.log(JSON.stringify({ port: server.port, pid: server.pid }));
