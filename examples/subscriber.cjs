// Prints orders from the first one on, and goes on where it stopped when it is started again.
const stan = require('node-nats-streaming');

const url = process.env.NATS_URL ?? 'nats://127.0.0.1:4222';
const clusterId = process.env.CLUSTER_ID ?? 'test-cluster';

const client = stan.connect(clusterId, 'order-printer', { url });

client.on('error', (error) => {
  console.error(`${error}. Is a server running? Start one with: npm start`);
  process.exit(1);
});

client.on('connection_lost', (error) => {
  console.error(`connection lost: ${error}`);
  process.exit(1);
});

client.on('connect', () => {
  console.log(`connected to ${clusterId}, waiting for orders`);
  const options = client
    .subscriptionOptions()
    .setDeliverAllAvailable()
    .setDurableName('printer')
    .setManualAckMode(true)
    .setAckWait(30_000)
    .setMaxInFlight(10);
  const subscription = client.subscribe('orders', options);
  subscription.on('error', (error) => {
    console.error(`cannot subscribe: ${error}`);
    client.close();
  });
  subscription.on('message', (message) => {
    console.log(`[${message.getSequence()}] ${message.getData()}`);
    // Only now: what is not acknowledged comes again.
    message.ack();
  });
});

// Closing a durable subscription keeps its place. `unsubscribe` would give it up.
process.on('SIGINT', () => client.close());
client.on('close', () => process.exit(0));
