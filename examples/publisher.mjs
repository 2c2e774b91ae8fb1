// Publishes orders and waits for the acknowledgement of each: `node examples/publisher.mjs [HOW MANY]`
import stan from 'node-nats-streaming';

/** A takeover takes less. */
const ACK_TIMEOUT_MS = 2_000;
const MAX_TRIES = 15;

const count = Number(process.argv[2] ?? 3);
const url = process.env.NATS_URL ?? 'nats://127.0.0.1:4222';
const clusterId = process.env.CLUSTER_ID ?? 'test-cluster';

const client = stan.connect(clusterId, `publisher-${process.pid}`, { url, ackTimeout: ACK_TIMEOUT_MS });

client.on('error', (error) => {
  console.error(`${error}. Is a server running? Start one with: npm start`);
  process.exit(1);
});

client.on('connection_lost', (error) => {
  console.error(`connection lost: ${error}`);
  process.exit(1);
});

client.on('connect', async () => {
  try {
    for (let number = 1; number <= count; number++) {
      const id = await publish('orders', `order ${number}`);
      console.log(`published order ${number}, acknowledged as ${id}`);
    }
  } catch (error) {
    console.error(`cannot publish: ${error}`);
    process.exitCode = 1;
  }
  client.close();
});

/**
 * Resolves when the server has the message: from then on it is not lost. What is under way to a broker that dies may be lost, or its
 * acknowledgement: it is published again. Then it may be stored twice, since this client gives it another id.
 */
async function publish(channel, text) {
  for (let tries = 1; ; tries++) {
    try {
      return await publishOnce(channel, text);
    } catch (error) {
      if (error.message !== 'stan: publish ack timeout' || tries === MAX_TRIES) throw error;
      console.log(`no acknowledgement of ${text}: publishing it again`);
    }
  }
}

function publishOnce(channel, text) {
  return new Promise((resolve, reject) => {
    // The server's refusals are strings, the client's own errors are not.
    client.publish(channel, text, (error, id) => {
      if (error) reject(error instanceof Error ? error : new Error(error));
      else resolve(id);
    });
  });
}
