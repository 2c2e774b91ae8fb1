import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostAndPort } from './credentials.js';

/** A NATS server to try. */
export interface NatsServerName {
  /** `host:port`, as it is configured or as another server names it. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Servers of a cluster that are not configured. More are not kept. */
const MAX_DISCOVERED = 256;
const DNS_TIMEOUT_MS = 2_000;

/** The NATS servers that are known: those of the configuration, and those that a server names as members of its cluster. */
export class ServerList {
  readonly #random: () => number;
  #configured: readonly NatsServerName[];
  #discovered: readonly NatsServerName[] = [];
  /** The one that was taken last. */
  #taken: string | undefined;

  /** @param inOrder the first that can be reached is to be taken at the start; otherwise any */
  constructor(servers: readonly string[], inOrder: boolean, random: () => number) {
    this.#random = random;
    const names = servers.map(serverName);
    this.#configured = inOrder ? names : shuffled(names, random);
  }

  /** All of them, each once: the one behind the last that was taken first, that one last. */
  round(): readonly NatsServerName[] {
    const all = [...this.#configured, ...this.#discovered];
    const taken = all.findIndex(({ name }) => name === this.#taken);
    return [...all.slice(taken + 1), ...all.slice(0, taken + 1)];
  }

  take(server: NatsServerName): void {
    this.#taken = server.name;
  }

  /** @param connectUrls `host:port` of the members of the cluster, as a server tells them */
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
    // The order of those that were known already stays: a round goes on where it was.
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
    // A server may say anything.
    return undefined;
  }
}

/**
 * The addresses of a host, in any order: a name may be that of a whole cluster. Node's own look-up gives the first of them alone,
 * and takes a thread that the store needs. It is for the names that DNS does not know.
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
