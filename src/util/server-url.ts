// URLs of NATS servers, which may hold credentials: how they are read, and how they are shown.

import { HIDDEN } from './secrets.js';

export interface ServerUrl {
  /** `nats` or `tls`. */
  readonly scheme: string;
  /** An IPv6 address has its brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined if there are no credentials. */
  readonly user: string | undefined;
  /** Undefined if there is none: then the user is a token. */
  readonly pass: string | undefined;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
/** The end of a URL in a list. */
const NEXT_URL = /,(?=[a-z][a-z0-9+.-]*:\/\/)/i;
const DEFAULT_PORT = 4222;
const MAX_PORT = 65_535;

/**
 * Reads a URL like `nats://user:pass@host:4222`. Older tools and examples write `tcp://` for `nats://`. Everything between the scheme
 * and the last `@` is credentials, so that a password need not be escaped, unless it has a `%` or, in a list, a comma.
 *
 * @returns what is wrong with it, if something is: a text without the URL
 */
export function parseServerUrl(text: string): ServerUrl | string {
  const [prefix, given] = SCHEME.exec(text) ?? ['', 'nats'];
  const scheme = given.toLowerCase() === 'tcp' ? 'nats' : given.toLowerCase();
  if (scheme !== 'nats' && scheme !== 'tls') return 'its scheme must be nats or tls';
  const rest = text.slice(prefix.length);
  const end = rest.lastIndexOf('@');
  const address = rest.slice(end + 1).replace(/\/$/, '');
  const [, host = '', portText] = /^(\[[^[\]]*\]|[^:/?#\s[\]]*)(?::(.*))?$/.exec(address) ?? [];
  if (host === '') return 'there is no host before its port, or something that belongs to neither';
  const port = !portText ? DEFAULT_PORT : /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > MAX_PORT) return `its port must be a number from 1 to ${MAX_PORT}`;
  // The class knows which characters a name can have, and how an address is written.
  if (!URL.canParse(`http://${host}`) || !URL.canParse(`nats://${host}`))
    return 'its host is neither a name nor an address';
  const { hostname } = new URL(`nats://${host}`);
  if (end < 0) return { scheme, host: hostname, port, user: undefined, pass: undefined };
  const [user, pass] = splitAtColon(rest.slice(0, end));
  if (user === '') return 'it has an empty user, or an empty token';
  return { scheme, host: hostname, port, user: decoded(user), pass: pass ? decoded(pass) : undefined };
}

/**
 * A URL, or a list of them, for error messages: without credentials, and without anything that may be a part of them, such as what
 * stands in the place of a port.
 */
export function shownUrls(text: string): string {
  return text.split(NEXT_URL).map(shownUrl).join(',');
}

/** The passwords and tokens in a URL, or in a list of them: as they are given, and as they are meant. */
export function secretsInUrls(text: string): string[] {
  return text.split(NEXT_URL).flatMap((url) => {
    const rest = url.slice(SCHEME.exec(url)?.[0].length ?? 0);
    const end = rest.lastIndexOf('@');
    if (end < 0) return [];
    const [user, pass] = splitAtColon(rest.slice(0, end));
    const secret = pass ?? user;
    return [secret, decoded(secret)];
  });
}

function shownUrl(text: string): string {
  const prefix = SCHEME.exec(text)?.[0] ?? '';
  const rest = text.slice(prefix.length);
  const end = rest.lastIndexOf('@');
  const address = /^(?:\[[\da-f:.]*\]|[\w.-]*)/i.exec(rest.slice(end + 1))?.[0] ?? '';
  const behind = rest.slice(end + 1 + address.length);
  const port = /^(?::\d*)?\/?$/.test(behind) ? behind : behind.startsWith(':') ? `:${HIDDEN}` : HIDDEN;
  return `${prefix}${end < 0 ? '' : `${HIDDEN}@`}${address}${port}`;
}

function splitAtColon(text: string): [before: string, after: string | undefined] {
  const at = text.indexOf(':');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** Decodes percent escapes. Text with a `%` that escapes nothing stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
