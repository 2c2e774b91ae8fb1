/** One client that publishes, or receives, as fast as its library lets it. Argument: a `ClientSpec` as JSON. */
import { connect } from '../../../src/index.js';
import { connectLegacy } from './legacy.js';
import { CLIENT_MAX_IN_FLIGHT, CLIENT_WINDOW, type ClientResult, type ClientSpec } from './spec.js';

/** What both libraries do here. */
export interface BenchClient {
  publish(channel: string, data: Buffer, onAck: (error: Error | undefined) => void): void;
  /** All that is stored, and then what comes. Auto ack. */
  subscribe(channel: string, onMessage: () => void): void;
  close(): Promise<void>;
}

const WARMUP_SHARE = 4;

const spec = JSON.parse(process.argv[2] ?? '') as ClientSpec;
const client = await (spec.library === 'stanchion' ? connectOwn(spec) : connectLegacy(spec));
const result = await (spec.side === 'publish' ? measurePublish() : measureReceive());
await client.close();
process.stdout.write(JSON.stringify(result));
process.exit(0);

async function measurePublish(): Promise<ClientResult> {
  await publishAll(Math.ceil(spec.messages / WARMUP_SHARE));
  return measured(spec.messages, () => publishAll(spec.messages));
}

async function measureReceive(): Promise<ClientResult> {
  return measured(spec.messages, () => receiveAll(spec.messages));
}

async function measured(messages: number, work: () => Promise<void>): Promise<ClientResult> {
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startMs) / 1_000;
  return { messagesPerSecond: messages / seconds, cpuMicros: (user + system) / messages };
}

function publishAll(count: number): Promise<void> {
  const payload = Buffer.alloc(spec.payloadBytes, 'x');
  return new Promise((resolve, reject) => {
    let sent = 0;
    let acked = 0;
    let isDue = false;
    const pump = (): void => {
      isDue = false;
      while (sent < count && sent - acked < CLIENT_WINDOW) {
        sent++;
        client.publish(spec.channel, payload, onAck);
      }
    };
    const onAck = (error: Error | undefined): void => {
      if (error !== undefined) {
        reject(error);
        return;
      }
      if (++acked === count) resolve();
      else if (!isDue && sent < count) {
        // Once for all acks that came together, for either library.
        isDue = true;
        queueMicrotask(pump);
      }
    };
    pump();
  });
}

function receiveAll(count: number): Promise<void> {
  return new Promise((resolve) => {
    let received = 0;
    client.subscribe(spec.channel, () => {
      if (++received === count) resolve();
    });
  });
}

async function connectOwn({ natsPort, clusterId }: ClientSpec): Promise<BenchClient> {
  const connection = await connect({
    servers: `nats://127.0.0.1:${natsPort}`,
    clusterId,
    clientId: `own-${process.pid}`,
  });
  return {
    publish: (channel, data, onAck) => void connection.publishAsync(channel, data, onAck),
    subscribe: (channel, onMessage) => {
      void connection.subscribe(channel, {
        startAt: 'all',
        maxInFlight: CLIENT_MAX_IN_FLIGHT,
        callback: () => onMessage(),
      });
    },
    close: () => connection.close(),
  };
}
