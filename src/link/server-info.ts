import { LinkProtocolError } from './parser.js';

/** The fields of the server's INFO that the link uses. */
export interface ServerInfo {
  /** Each start of the server has a new id. */
  serverId: string;
  serverName: string;
  version: string;
  /** Largest payload, including headers, in bytes. */
  maxPayload: number;
  headers: boolean;
  tlsRequired: boolean;
  tlsAvailable: boolean;
  /** The text for nkey and JWT users to sign; '' if the server requires no signature. */
  nonce: string;
  /** Whether the server is about to stop: it accepts no new connections, and closes the old ones one after the other. */
  lameDuck: boolean;
  /** `host:port` of the servers of its cluster. */
  connectUrls: string[];
  /** The server's number for this connection, which its log and monitoring show. */
  clientId: number;
}

/** @throws LinkProtocolError if a client cannot work with this INFO */
export function parseServerInfo(json: string): ServerInfo {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new LinkProtocolError('the INFO of the server is not JSON');
  }
  return serverInfoOf(value);
}

/** The fields of an INFO that is parsed already. @throws LinkProtocolError */
export function serverInfoOf(value: unknown): ServerInfo {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new LinkProtocolError('the INFO of the server is not a JSON object');
  }
  const fields = value as Record<string, unknown>;
  const maxPayload = fields.max_payload;
  if (typeof maxPayload !== 'number' || !Number.isSafeInteger(maxPayload) || maxPayload < 1) {
    throw new LinkProtocolError('the INFO of the server has no usable max_payload');
  }
  return {
    serverId: text(fields.server_id),
    serverName: text(fields.server_name),
    version: text(fields.version),
    maxPayload,
    headers: fields.headers === true,
    tlsRequired: fields.tls_required === true,
    tlsAvailable: fields.tls_available === true,
    nonce: text(fields.nonce),
    lameDuck: fields.ldm === true,
    connectUrls: Array.isArray(fields.connect_urls)
      ? fields.connect_urls.filter((url): url is string => typeof url === 'string')
      : [],
    clientId: typeof fields.client_id === 'number' ? fields.client_id : 0,
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
