import { once } from 'node:events';
import { runCli } from '../../src/cli/cli.js';
import type { ServeConfig } from '../../src/config/serve-config.js';
import type { RunningBroker, StartOptions, StopReason } from '../../src/run/running-broker.js';

// The command line around a broker that does what FAKE_BROKER says. Run as a process of its own.

async function startBroker(config: ServeConfig, { log, signal }: StartOptions): Promise<RunningBroker> {
  const behaviour = process.env.FAKE_BROKER ?? 'run';
  if (behaviour === 'fail to start') throw new Error('port 4222 is taken');
  // As a socket would.
  const alive = setInterval(() => {}, 60_000);
  if (behaviour === 'wait for NATS') {
    log.info({}, 'waiting for NATS');
    return new Promise(() => {});
  }
  if (behaviour === 'wait for NATS with a store') {
    log.info({}, 'waiting for NATS');
    await once(signal!, 'abort');
    log.info({}, 'store closed');
    throw signal!.reason;
  }
  let end: (reason: StopReason) => void = () => {};
  const stopped = new Promise<StopReason>((resolve) => {
    end = resolve;
  });
  if (behaviour === 'break') setImmediate(() => end({ exitCode: 1, error: new Error('the disk is gone') }));
  if (behaviour === 'throw') {
    setImmediate(() => {
      throw new Error('thrown from a timer');
    });
  }
  if (behaviour === 'reject') void Promise.reject(new Error('rejected without a handler'));
  log.info({ clusterId: config.clusterId, store: config.store.kind }, 'Streaming Server is ready');
  log.debug({}, 'a debug message');
  return {
    ready: Promise.resolve(),
    stopped,
    urls: [],
    httpUrl: undefined,
    reload: () => log.info({}, 'files read again'),
    stop: async () => {
      if (behaviour === 'never stop') return;
      log.info({}, 'store closed');
      clearInterval(alive);
      end({ exitCode: 0 });
    },
  };
}

process.exit(await runCli(process.argv.slice(2), { startBroker }));
