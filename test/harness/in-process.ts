import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import type { LogFields, Logger } from '../../src/log/logger.js';
import type { RunningBroker } from '../../src/run/running-broker.js';
import { startBroker } from '../../src/run/start.js';
import { waitFor } from './wait.js';

/** Keeps what is logged. */
export class LogLines implements Logger {
  readonly all: string[] = [];
  debug = (): void => {};
  info = (_fields: LogFields, message: string): void => void this.all.push(message);
  warn = this.info;
  error = this.info;
  child = (): Logger => this;

  matching(pattern: RegExp): string[] {
    return this.all.filter((line) => pattern.test(line));
  }
}

/** What `/healthz` and `/readyz` answer. */
export interface HealthAnswer {
  healthz: number;
  readyz: number;
  reasons: readonly string[];
}

/** A broker in this process with HTTP: as `stanchion serve`, started and perhaps not ready. */
export class InProcess {
  private constructor(
    readonly broker: RunningBroker,
    readonly log: LogLines,
  ) {}

  static async start(flags: Readonly<Record<string, string>>): Promise<InProcess> {
    const all = {
      'cluster-id': 'c',
      'http-addr': '127.0.0.1',
      'http-port': '-1',
      ...flags,
    };
    const argv = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
    const log = new LogLines();
    const config = resolveServeConfig(argv, {}, () => NO_CONFIG_FILE);
    return new InProcess(await startBroker(config, { log }), log);
  }

  async health(): Promise<HealthAnswer> {
    const [healthz, readyz] = await Promise.all(
      ['healthz', 'readyz'].map((path) => fetch(`${this.broker.httpUrl}/${path}`)),
    );
    if (healthz === undefined || readyz === undefined) throw new Error('no answer');
    const { reasons } = (await readyz.json()) as { reasons: string[] };
    await healthz.arrayBuffer();
    return { healthz: healthz.status, readyz: readyz.status, reasons };
  }

  /** Waits until it is ready, with nothing to complain of. */
  async isWell(): Promise<void> {
    let last: HealthAnswer | undefined;
    await waitFor(
      async () => {
        last = await this.health();
        return last.healthz === 200 && last.readyz === 200 && last.reasons.length === 0;
      },
      () => `it is well: ${JSON.stringify(last)}`,
    );
  }

  /** Waits until one of its reasons says this. */
  async complains(about: RegExp): Promise<HealthAnswer> {
    let last: HealthAnswer | undefined;
    await waitFor(
      async () => {
        last = await this.health();
        return last.reasons.some((reason) => about.test(reason));
      },
      () => `it complains of ${about}: ${JSON.stringify(last)}`,
    );
    if (last === undefined) throw new Error('never asked');
    return last;
  }

  stop(): Promise<void> {
    return this.broker.stop();
  }
}
