import { isIP } from 'node:net';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1)$/;

/** Names of this machine that no domain can have: by RFC 6761, and in containers of Docker and Podman. */
const LOCAL_NAME = /^(.+\.)?localhost$|^host\.(docker|containers)\.internal$/;

/** Whether only this machine can connect to the address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(address);
}

/**
 * Guards a server that trusts its machine against DNS rebinding. The owner of a domain may point it at 127.0.0.1 after a browser has
 * loaded a page from it. The browser then takes page and server for one origin, and lets the page read. But the page can only send
 * requests with its own name in `Host`, so an address, or a name that means this machine, shows that no such page has asked.
 *
 * @param listensOn the configured address or name of the server
 * @param hostHeader the Host of a request; undefined with HTTP/1.0, which no browser speaks
 */
export function isOwnHost(listensOn: string, hostHeader: string | undefined): boolean {
  if (hostHeader === undefined) return true;
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(hostHeader) ?? [];
  // A name may end with a dot, and be written in capitals.
  const host = (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '');
  if (host === undefined || host === '') return false;
  return isIP(host) !== 0 || LOCAL_NAME.test(host) || host === listensOn.toLowerCase();
}
