// The NATS servers to try, and the addresses of each.

import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostAndPort } from './credentials.js';

/** A NATS server to try. */
export interface NatsServerName {
  /** `host:port`, from the configuration or from another server of the cluster. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Limit of servers of the cluster that are not in the configuration. */
const MAX_DISCOVERED = 256;
const DNS_TIMEOUT_MS = 2_000;

/** The known NATS servers: those in the configuration, and those that a server announces as members of its cluster. */
export class ServerList {
  readonly #random: () => number;
  #configured: readonly NatsServerName[];
  #discovered: readonly NatsServerName[] = [];
  /** The name of the server that was used last. */
  #taken: string | undefined;

  /** @param inOrder whether to try the configured servers in their order, instead of a random one */
  constructor(servers: readonly string[], inOrder: boolean, random: () => number) {
    this.#random = random;
    const names = servers.map(serverName);
    this.#configured = inOrder ? names : shuffled(names, random);
  }

  /** Every server once, beginning behind the one that was used last. */
  round(): readonly NatsServerName[] {
    const all = [...this.#configured, ...this.#discovered];
    const taken = all.findIndex(({ name }) => name === this.#taken);
    return [...all.slice(taken + 1), ...all.slice(0, taken + 1)];
  }

  take(server: NatsServerName): void {
    this.#taken = server.name;
  }

  /** @param connectUrls `host:port` of the members of the cluster, from a server's INFO */
  discover(connectUrls: readonly string[]): void {
    if (connectUrls.length === 0) return;
    const known = new Set(this.#configured.map(({ name }) => name));
    const names: NatsServerName[] = [];
    for (const url of connectUrls.slice(0, MAX_DISCOVERED)) {
      const server = parsed(url);
      if (server === undefined || known.has(server.name)) continue;
      known.add(server.name);
      names.push(server);
    }
    // The known servers keep their order, so that the next round goes on from the last one.
    const before = this.#discovered.map(({ name }) => name);
    const old = names.filter(({ name }) => before.includes(name));
    const added = names.filter(({ name }) => !before.includes(name));
    old.sort((a, b) => before.indexOf(a.name) - before.indexOf(b.name));
    this.#discovered = [...old, ...shuffled(added, this.#random)];
  }
}

/** @param server `host:port`, with or without a scheme */
function serverName(server: string): NatsServerName {
  const { host, port } = hostAndPort(server);
  return { name: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`, host, port };
}

function parsed(url: string): NatsServerName | undefined {
  try {
    return serverName(url);
  } catch {
    // A server may announce anything.
    return undefined;
  }
}

/**
 * The addresses of a host, in random order: one name may stand for a whole cluster. Node's own look-up gives only the first address,
 * and takes a thread that the store needs, so it is left to names that DNS does not know.
 */
export async function addressesOf(host: string, random: () => number): Promise<readonly string[]> {
  if (isIP(host) !== 0 || host === 'localhost') return [host];
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 1 });
  const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const addresses = found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  return addresses.length === 0 ? [host] : shuffled(addresses, random);
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
