import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Child } from './child.js';
import { freePort } from './free-ports.js';
import { waitFor } from './wait.js';

/** A real nats-server on a port of its own, which stays the same over restarts. */
export class NatsServer {
  readonly port: number;
  readonly #args: readonly string[];
  #child: Child | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  /** @param config lines of a nats-server configuration; needs `dir` to put them */
  static async start(options: { config?: string; dir?: string } = {}): Promise<NatsServer> {
    const port = await freePort();
    const args = ['-a', '127.0.0.1', '-p', String(port)];
    if (options.config !== undefined) {
      if (options.dir === undefined) throw new Error('a configuration needs a directory');
      const path = join(options.dir, `nats-${port}.conf`);
      writeFileSync(path, options.config);
      args.push('-c', path);
    }
    const server = new NatsServer(port, args);
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get output(): string {
    return this.#child?.output ?? '';
  }

  async start(): Promise<void> {
    const child = new Child('nats-server', this.#args);
    this.#child = child;
    await waitFor(
      async () => {
        if (child.hasExited) throw new Error(`nats-server ended:\n${child.output}`);
        return answers(this.port);
      },
      () => `nats-server answers on port ${this.port}; it said:\n${child.output}`,
    );
  }

  async stop(): Promise<void> {
    await this.#child?.destroy();
  }
}

/** Whether an INFO line comes. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const finish = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('data', (chunk) => finish(chunk.toString().startsWith('INFO')));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}
