import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NET = '10.77.0';
export const HUB = `${NET}.254`;
export const CLIENT_PORT = 4222;
export const ROUTE_PORT = 6222;

/** What a slow line is like. */
export interface SlowLine {
  delayMs: number;
  lossPercent: number;
}

/** A bridge in the namespace of this process, and a namespace with one line to it for each host. */
export class Network {
  readonly hosts: readonly number[];
  #hasNetem = false;

  private constructor(count: number) {
    this.hosts = Array.from({ length: count }, (_, i) => i + 1);
  }

  static async make(count: number): Promise<Network> {
    const network = new Network(count);
    await ip('link set lo up');
    await ip('link add hub type bridge');
    await ip(`addr add ${HUB}/24 dev hub`);
    await ip('link set hub up');
    for (const host of network.hosts) {
      await ip(`netns add m${host}`);
      await ip(`link add v${host} type veth peer name eth0 netns m${host}`);
      await ip(`link set v${host} master hub`);
      await ip(`link set v${host} up`);
      await ip(`-n m${host} addr add ${address(host)}/24 dev eth0`);
      await ip(`-n m${host} link set eth0 up`);
      await ip(`-n m${host} link set lo up`);
    }
    network.#hasNetem = await succeeds(() => run('tc', words('qdisc add dev lo root netem delay 1ms')));
    if (network.#hasNetem) await run('tc', words('qdisc del dev lo root'));
    return network;
  }

  /** Pulls the plug. */
  async cut(host: number): Promise<void> {
    await ip(`link set v${host} down`);
  }

  /** The host hears nobody, and is heard. */
  async deafen(host: number): Promise<void> {
    await this.#filter(host, '-A INPUT -i eth0 -j DROP');
  }

  /** The host is not heard, and hears. */
  async mute(host: number): Promise<void> {
    await this.#filter(host, '-A OUTPUT -o eth0 -j DROP');
  }

  /** Its nats-server and the others do not reach each other; who connects as a client does. */
  async cutRoutes(host: number): Promise<void> {
    for (const side of ['--sport', '--dport']) {
      await this.#filter(host, `-A INPUT -p tcp ${side} ${ROUTE_PORT} -j DROP`);
      await this.#filter(host, `-A OUTPUT -p tcp ${side} ${ROUTE_PORT} -j DROP`);
    }
  }

  /** What runs there reaches no nats-server, not even its own, and finds out by silence, or by a refusal. */
  async cutFromNats(host: number, how: 'DROP' | 'REJECT'): Promise<void> {
    await this.#filter(host, `-A OUTPUT -p tcp --dport ${CLIENT_PORT} -j ${how}`);
  }

  async slow(host: number, { delayMs, lossPercent }: SlowLine): Promise<void> {
    if (this.#hasNetem) {
      const line = `qdisc replace dev eth0 root netem delay ${delayMs}ms ${delayMs / 4}ms loss ${lossPercent}%`;
      await run('tc', ['-n', `m${host}`, ...words(line)]);
      return;
    }
    // A narrow line with a long queue delays as well, if there is enough to send.
    const line = `qdisc replace dev eth0 root tbf rate 1mbit burst 4kb latency ${delayMs + 100}ms`;
    await run('tc', ['-n', `m${host}`, ...words(line)]);
    const loss = `-m statistic --mode random --probability ${lossPercent / 100} -j DROP`;
    await this.#filter(host, `-A INPUT -i eth0 ${loss}`);
  }

  async heal(host: number): Promise<void> {
    await this.#filter(host, '-F');
    await succeeds(() => run('tc', ['-n', `m${host}`, ...words('qdisc del dev eth0 root')]));
    await ip(`link set v${host} up`);
  }

  #filter(host: number, rule: string): Promise<unknown> {
    return run('ip', ['netns', 'exec', `m${host}`, 'iptables', '-w', ...words(rule)]);
  }
}

export function address(host: number): string {
  return `${NET}.${host}`;
}

function ip(line: string): Promise<unknown> {
  return run('ip', words(line));
}

function words(line: string): string[] {
  return line.split(' ');
}

async function succeeds(action: () => Promise<unknown>): Promise<boolean> {
  return action().then(
    () => true,
    () => false,
  );
}
