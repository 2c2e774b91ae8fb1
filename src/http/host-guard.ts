import { isIP } from 'node:net';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1)$/;

/** Names of the machine that nobody can have in the DNS: by RFC 6761, and as containers of Docker and Podman see it. */
const LOCAL_NAME = /^(.+\.)?localhost$|^host\.(docker|containers)\.internal$/;

/** Whether only this machine reaches who listens there. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(address);
}

/**
 * Guards a server that trusts its machine against the pages of strangers. Whoever has a domain may point it at 127.0.0.1 once a browser
 * has loaded a page from it; to the browser the page and this server are one then, and the page may read (DNS rebinding). What
 * the page cannot do is ask under another name than its own: an address, or a name that means this machine, is none of those.
 *
 * @param listensOn address or name that the server was told to listen on
 * @param hostHeader of a request; undefined: HTTP/1.0, which no browser speaks
 */
export function isOwnHost(listensOn: string, hostHeader: string | undefined): boolean {
  if (hostHeader === undefined) return true;
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(hostHeader) ?? [];
  // A name may end with a dot, and be written in capitals.
  const host = (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '');
  if (host === undefined || host === '') return false;
  return isIP(host) !== 0 || LOCAL_NAME.test(host) || host === listensOn.toLowerCase();
}
