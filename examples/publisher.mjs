// Publishes orders and waits for the acknowledgement of each: `node examples/publisher.mjs [HOW MANY]`
import stan from 'node-nats-streaming';

const count = Number(process.argv[2] ?? 3);
const url = process.env.NATS_URL ?? 'nats://127.0.0.1:4222';
const clusterId = process.env.CLUSTER_ID ?? 'test-cluster';

const client = stan.connect(clusterId, `publisher-${process.pid}`, { url });

client.on('error', (error) => {
  console.error(`${error}. Is a server running? Start one with: npm start`);
  process.exit(1);
});

client.on('connect', async () => {
  for (let number = 1; number <= count; number++) {
    const id = await publish('orders', `order ${number}`);
    console.log(`published order ${number}, acknowledged as ${id}`);
  }
  client.close();
});

/** Resolves when the server has the message: from then on it is not lost. */
function publish(channel, text) {
  return new Promise((resolve, reject) => {
    client.publish(channel, text, (error, id) => (error ? reject(new Error(String(error))) : resolve(id)));
  });
}
