import stan from 'node-nats-streaming';
import type { BenchClient } from './main.js';
import { CLIENT_MAX_IN_FLIGHT, type ClientSpec } from './spec.js';

/** node-nats-streaming, as its README uses it. */
export function connectLegacy({ natsPort, clusterId }: ClientSpec): Promise<BenchClient> {
  const client = stan.connect(clusterId, `legacy-${process.pid}`, { url: `nats://127.0.0.1:${natsPort}` });
  return new Promise((resolve, reject) => {
    client.once('error', reject);
    client.once('connect', () =>
      resolve({
        publish: (channel, data, onAck) => void client.publish(channel, data, (error) => onAck(error)),
        subscribe: (channel, onMessage) => {
          const options = client
            .subscriptionOptions()
            .setDeliverAllAvailable()
            .setMaxInFlight(CLIENT_MAX_IN_FLIGHT);
          client.subscribe(channel, options).on('message', onMessage);
        },
        close: () =>
          new Promise((closed) => {
            client.once('close', closed);
            client.close();
          }),
      }),
    );
  });
}
