import { isIP } from 'node:net';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1)$/;

/** Names of this machine that no domain can have: by RFC 6761, and in containers of Docker and Podman. */
const LOCAL_NAME = /^(.+\.)?localhost$|^host\.(docker|containers)\.internal$/;

/**
 * Names in a network that no web site can have: those without a dot, those of services in Kubernetes, and those below domains that are
 * set aside for networks (RFC 6762, RFC 8375, and .internal by ICANN).
 */
const NETWORK_NAME = /^[^.]+$|\.(svc|cluster\.local|local|internal|home\.arpa|localdomain)$/;

/** Whether only this machine can connect to the address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(address);
}

export interface HostGuardOptions {
  /** The configured address or name of the server. */
  listensOn: string;
  /** Whether only this machine can connect. */
  isLoopback: boolean;
  /** The name of this machine. */
  machine: string;
  /** Names in lower case: `a.example.com`, `*.example.com`, `*` for any. */
  allowed: readonly string[];
}

/**
 * Guards a server that asks for no secret against DNS rebinding. The owner of a domain may point it at this machine, or at 127.0.0.1,
 * after a browser has loaded a page from it. The browser then takes page and server for one origin, and lets the page read. But the page
 * can only send requests with its own name in `Host`, so an address, or a name that no web site can have, shows that no such page has
 * asked.
 */
export class HostGuard {
  readonly #options: HostGuardOptions;
  readonly #own: ReadonlySet<string>;
  readonly #suffixes: readonly string[];

  constructor(options: HostGuardOptions) {
    const { listensOn, machine, allowed } = options;
    this.#options = options;
    this.#own = new Set([
      listensOn.toLowerCase(),
      ...(options.isLoopback ? [] : [machine.toLowerCase()]),
      ...allowed,
    ]);
    this.#suffixes = allowed.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  }

  /** The names that are answered, for people. */
  get answers(): string {
    const { isLoopback, machine, allowed } = this.#options;
    if (this.#own.has('*')) return 'any name';
    const own = isLoopback
      ? ['localhost']
      : [machine, 'names without a dot', '*.svc', '*.cluster.local', '*.local', '*.internal'];
    return ['addresses', ...own, ...allowed].join(', ');
  }

  /** @param hostHeader the Host of a request; undefined with HTTP/1.0, which no browser speaks */
  admits(hostHeader: string | undefined): boolean {
    if (hostHeader === undefined || this.#own.has('*')) return true;
    const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(hostHeader) ?? [];
    // A name may end with a dot, and be written in capitals.
    const host = (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '');
    if (host === undefined || host === '') return false;
    if (isIP(host) !== 0 || LOCAL_NAME.test(host) || this.#own.has(host)) return true;
    // What is a number to a browser is an address to it, never the name of a page; what has other signs is no name.
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(host) || /^\d+$/.test(host)) return false;
    if (!this.#options.isLoopback && NETWORK_NAME.test(host)) return true;
    return this.#suffixes.some((suffix) => host.endsWith(suffix));
  }
}
