// Copies channels from one STAN server to another, and goes on with what comes, until nothing has come for a while:
//
//   node examples/move-channels.mjs --from nats://old:4222 --to nats://new:4222 --cluster-id test-cluster orders payments
//
// It reads by a durable subscription, and acknowledges a message to the old server when the new one has it. So it can be stopped
// and started again: then it goes on where it was (and a few messages may be copied twice).
import { parseArgs } from 'node:util';
import { connect } from 'stanchion';

const CLIENT_ID = 'move-channels';
const { values, positionals: channels } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    'cluster-id': { type: 'string', default: 'test-cluster' },
    /** Of the new server, if it has another one. */
    'to-cluster-id': { type: 'string' },
    /** Seconds without a message after which all is copied; 0: never, as while publishers are moved one by one. */
    idle: { type: 'string', default: '3' },
  },
});
const idleMs = Number(values.idle) * 1000;
if (values.from === undefined || values.to === undefined || channels.length === 0 || Number.isNaN(idleMs)) {
  console.error(
    'usage: move-channels.mjs --from URL --to URL [--cluster-id ID] [--to-cluster-id ID] [--idle SECONDS] CHANNEL...',
  );
  process.exit(2);
}

const clusterId = values['cluster-id'];
const from = await connect({ servers: values.from, clusterId, clientId: CLIENT_ID });
const to = await connect({
  servers: values.to,
  clusterId: values['to-cluster-id'] ?? clusterId,
  clientId: CLIENT_ID,
});
for (const connection of [from, to])
  connection.closed().then((reason) => reason !== undefined && fail(reason));

await Promise.all(channels.map(copy));
await from.close();
await to.close();

/** @param {string} channel */
async function copy(channel) {
  let read = 0;
  let copied = 0;
  let first;
  let last;
  let idleTimer;
  const { promise: idle, resolve: becomeIdle } = withResolvers();
  const subscription = await from.subscribe(channel, {
    durable: CLIENT_ID,
    startAt: 'all',
    manualAck: true,
    callback: (error, message) => {
      if (error !== undefined) return fail(error);
      read++;
      clearTimeout(idleTimer);
      // Sent in the order in which they come, and many before the first ack.
      to.publish(channel, message.data).then(() => {
        message.ack();
        copied++;
        first ??= message.sequence;
        last = message.sequence;
        if (copied === read) wait();
      }, fail);
    },
  });
  if (process.stdout.isTTY) console.log(`${channel}: copying`);
  wait();
  await idle;
  // Closed, not unsubscribed: its place is kept.
  await subscription.close();
  const range = copied === 0 ? '' : `, sequences ${first} to ${last}`;
  console.log(`${channel}: ${copied} ${copied === 1 ? 'message' : 'messages'} copied${range}`);

  function wait() {
    if (idleMs > 0) idleTimer = setTimeout(becomeIdle, idleMs);
  }
}

function withResolvers() {
  let resolve;
  const promise = new Promise((give) => {
    resolve = give;
  });
  return { promise, resolve };
}

/** @param {Error} error */
function fail(error) {
  console.error(`${error.message}. Nothing is lost: start it again, it goes on where it was`);
  process.exit(1);
}
