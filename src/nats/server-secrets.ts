// The secrets of the supervised nats-server. Its configuration only refers to them; their values are in its environment, which no other
// user of the machine can read, and which is gone with the process.

/** A name that no configuration file uses for something else. */
const VARIABLE = 'STANCHION_NATS_SECRET_';

/** Secrets, by the environment variables that hold them. */
export class ServerSecrets {
  readonly environment: Record<string, string> = {};
  #count = 0;

  /** @returns what stands for the value in the configuration */
  reference(value: string): string {
    const name = `${VARIABLE}${this.#count++}`;
    this.environment[name] = quoted(value);
    return `$${name}`;
  }
}

/** A string in the syntax of nats-server's configuration, which is that of its variables too. */
export function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r').replace(/\t/g, '\\t')}"`;
}

/** Whether a URL of a route has user and password. */
export function hasCredentials(url: string): boolean {
  return url.includes('@');
}

/**
 * The block `cluster`: what the flags --cluster and --routes say, which any user of the machine could read.
 *
 * @param clusterUrl `nats://user:pass@host:port`, or without user and password
 */
export function clusterLines(
  clusterUrl: string | undefined,
  routes: readonly string[],
  secrets: ServerSecrets,
): string[] {
  const lines: string[] = [];
  if (clusterUrl !== undefined) {
    const { user, pass, address } = partsOf(clusterUrl);
    lines.push(`  listen: ${quoted(address)}`);
    if (user !== '')
      lines.push(
        `  authorization { user: ${secrets.reference(user)}, password: ${secrets.reference(pass)} }`,
      );
  }
  if (routes.length > 0)
    lines.push(`  routes: [${routes.map((url) => secrets.reference(escapedUrl(url))).join(', ')}]`);
  return ['cluster {', ...lines, '}'];
}

interface UrlParts {
  readonly scheme: string;
  readonly user: string;
  readonly pass: string;
  readonly address: string;
}

/** A password may have any character: everything up to the last `@` is user and password. */
function partsOf(url: string): UrlParts {
  const [, scheme = 'nats://', rest = url] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(url) ?? [];
  const end = rest.lastIndexOf('@');
  const [user = '', ...pass] = rest.slice(0, Math.max(0, end)).split(':');
  return { scheme, user: decoded(user), pass: decoded(pass.join(':')), address: rest.slice(end + 1) };
}

/** The URL as nats-server parses it. */
function escapedUrl(url: string): string {
  if (!hasCredentials(url)) return url;
  const { scheme, user, pass, address } = partsOf(url);
  return `${scheme}${encodeURIComponent(user)}:${encodeURIComponent(pass)}@${address}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
