import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { NodeTransport } from 'nats/lib/src/node_transport.js';
import { startBroker } from '../../src/server.js';
import { NatsProcess } from './nats-process.js';

const methods = () => Object.getOwnPropertyDescriptors(NodeTransport.prototype);

let server: NatsProcess;
before(async () => {
  server = await NatsProcess.start();
});
after(() => server.stop());

it('the nats package of a program that runs a broker stays as it is', async () => {
  const untouched = methods();
  const broker = await startBroker({ natsServer: server.url, clusterId: 'host' });
  await broker.stop();
  for (const [name, method] of Object.entries(methods())) {
    assert.equal(method.value, untouched[name as keyof typeof untouched].value, name);
  }
  // The package's own are declared by nobody else.
  assert.match(String(NodeTransport.prototype.dial), /createConnection\)\(hp\.port, hp\.hostname/);
});
