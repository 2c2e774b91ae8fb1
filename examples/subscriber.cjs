// Prints orders from the first one on, and goes on where it stopped when it is started again.
const stan = require('node-nats-streaming');

const url = process.env.NATS_URL ?? 'nats://127.0.0.1:4222';
const clusterId = process.env.CLUSTER_ID ?? 'test-cluster';

const client = stan.connect(clusterId, 'order-printer', { url });

client.on('error', (error) => fail(`${error}. Is a server running? Start one with: npm start`));
client.on('connection_lost', (error) => fail(`connection lost: ${error}`));

client.on('connect', () => {
  const options = client
    .subscriptionOptions()
    .setDeliverAllAvailable()
    .setDurableName('printer')
    .setManualAckMode(true)
    .setAckWait(30_000)
    .setMaxInFlight(10);
  const subscription = client.subscribe('orders', options);
  subscription.on('error', (error) => fail(`cannot subscribe: ${error}`));
  // Nobody served at this moment, or the answer was lost.
  subscription.on('timeout', (error) => fail(`cannot subscribe: ${error}. Start it again`));
  subscription.on('ready', () => console.log(`connected to ${clusterId}, waiting for orders`));
  subscription.on('message', (message) => {
    console.log(`[${message.getSequence()}] ${message.getData()}`);
    // Only now: what is not acknowledged comes again.
    message.ack();
  });
});

// Closing a durable subscription keeps its place. `unsubscribe` would give it up.
process.on('SIGINT', () => client.close());
client.on('close', () => process.exit(0));

function fail(text) {
  console.error(text);
  process.exit(1);
}
