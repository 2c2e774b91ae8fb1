import type { LinkTarget } from './dial-link.js';
import type { ServerInfo } from './server-info.js';

/** The CONNECT line that logs in to a server: what the link always says, and the target's credentials. */
export function connectLine(info: ServerInfo, target: LinkTarget): string {
  const connect = {
    verbose: false,
    pedantic: false,
    lang: 'node',
    version: '0',
    protocol: 1,
    headers: info.headers,
    no_responders: false,
    echo: true,
    tls_required: target.tls !== undefined,
    ...target.connectFields?.(info),
  };
  return `CONNECT ${JSON.stringify(connect)}\r\n`;
}
