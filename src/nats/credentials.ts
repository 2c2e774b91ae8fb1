// Credentials and TLS options for the connections to NATS, read from the files that the configuration names.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext, type SecureContextOptions } from 'node:tls';
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import type { NatsConfig } from '../config/serve-config.js';

/** An error in the configuration of the NATS connection. A retry does not help, unless a file changes. */
export class NatsConfigError extends Error {
  override name = 'NatsConfigError';
}

const CERTIFICATE_BEGIN = /^-----BEGIN (?:[A-Z0-9]+ )?CERTIFICATE-----/gm;
const CERTIFICATE_END = /^-----END (?:[A-Z0-9]+ )?CERTIFICATE-----/gm;
const NKEY_SEED = /\bSU[A-Z2-7]{56}\b/;

/**
 * The authenticators for both connections. They read files again at each connect, and so use renewed credentials.
 *
 * @throws NatsConfigError if a file cannot be read, or has no credentials
 */
export function authenticators(config: NatsConfig): Authenticator[] {
  const all: Authenticator[] = [];
  const { user, pass, token, credsFile, nkeyFile } = config;
  if (user !== undefined) all.push(usernamePasswordAuthenticator(user, pass));
  if (token !== undefined) all.push(tokenAuthenticator(token));
  if (nkeyFile !== undefined)
    all.push(
      ofFile(
        nkeyFile,
        nkeyAuthenticator(() => nkeySeed(nkeyFile)),
      ),
    );
  if (credsFile !== undefined)
    all.push(
      ofFile(
        credsFile,
        credsAuthenticator(() => readFile(credsFile, 'credentials')),
      ),
    );
  for (const authenticator of all) authenticator('nonce');
  return all;
}

/** Wraps an authenticator, so that its errors name the file. */
function ofFile(file: string, authenticator: Authenticator): Authenticator {
  return (nonce) => {
    try {
      return authenticator(nonce);
    } catch (error) {
      if (error instanceof NatsConfigError) throw error;
      throw new NatsConfigError(`${file} holds no usable credentials: ${messageOf(error)}`);
    }
  };
}

/** The fields of CONNECT from the authenticators, for a server's nonce. */
export function connectFields(all: readonly Authenticator[], nonce: string): Record<string, unknown> {
  return Object.assign({}, ...all.map((authenticator) => authenticator(nonce || undefined)));
}

/**
 * The TLS options for nats.js, which hands options that it does not know to Node.
 *
 * @returns undefined if TLS is used only when the server requires it
 * @throws NatsConfigError if a file cannot be used
 */
export function controlTls(
  config: NatsConfig,
  tlsFirst: boolean,
): (TlsOptions & ConnectionOptions) | undefined {
  const tls = linkTls(config, undefined, tlsFirst);
  if (!tls) return undefined;
  const { caFile, certFile, keyFile } = config.tls ?? {};
  const { servername, rejectUnauthorized } = tls;
  return {
    ...(servername !== undefined && { servername }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(tlsFirst && { handshakeFirst: true }),
  };
}

/**
 * The TLS options for the link to `host`. The configuration need not name the host: a discovered server of the cluster is known by its
 * address alone, and has its certificate for the configured name.
 *
 * @throws NatsConfigError if a file cannot be used
 */
export function linkTls(
  config: NatsConfig,
  host: string | undefined,
  tlsFirst: boolean,
): ConnectionOptions | undefined {
  const tls = config.tls;
  if (!tls && !tlsFirst && !config.servers.some((url) => url.startsWith('tls://'))) return undefined;
  const servername = tls?.serverName ?? (host === undefined ? undefined : certificateName(config, host));
  const { caFile, certFile, keyFile } = tls ?? {};
  const authorities = caFile === undefined ? {} : { ca: certificateAuthorities(caFile) };
  const shown = {
    ...(certFile !== undefined && { cert: readFile(certFile, 'certificate') }),
    ...(keyFile !== undefined && { key: readFile(keyFile, 'private key') }),
  };
  checkTls(authorities, caFile, 'certificate authorities');
  checkTls(shown, [certFile, keyFile].filter((file) => file !== undefined).join(', '), 'certificate and key');
  return {
    ...(servername !== undefined && { servername }),
    ...(tls?.skipVerify && { rejectUnauthorized: false }),
    ...authorities,
    ...shown,
  };
}

/** Reads certificates. Node would accept a file without any, or a half-written one, and then trust no server. */
function certificateAuthorities(file: string): Buffer {
  const pem = readFile(file, 'certificate authorities');
  const [begun, ended] = [CERTIFICATE_BEGIN, CERTIFICATE_END].map(
    (line) => pem.toString('latin1').match(line)?.length ?? 0,
  );
  if (begun === 0 || begun !== ended) throw new NatsConfigError(`${file} holds no whole certificate in PEM`);
  return pem;
}

/** Checks a file now: Node's error at a connect does not name it. */
function checkTls(options: SecureContextOptions, file: string | undefined, what: string): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new NatsConfigError(`${file} holds no usable ${what}: ${messageOf(error)}`);
  }
}

function certificateName(config: NatsConfig, host: string): string | undefined {
  if (isIP(host) === 0) return host;
  const hosts = config.servers.map((url) => hostAndPort(url).host);
  return hosts.includes(host) ? undefined : hosts.find((configured) => isIP(configured) === 0);
}

/** @param server `host:port`, with or without a scheme */
export function hostAndPort(server: string): { host: string; port: number } {
  const url = new URL(`http://${server.replace(/^\w+:\/\//, '')}`);
  // The URL class drops port 80, the default of http.
  const port = url.port !== '' ? Number(url.port) : /:80$/.test(server) ? 80 : 4222;
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

function nkeySeed(file: string): Buffer {
  const seed = NKEY_SEED.exec(readFile(file, 'nkey seed').toString('latin1'));
  if (!seed)
    throw new NatsConfigError(`${file} holds no nkey seed of a user: 58 characters that begin with SU`);
  return Buffer.from(seed[0]);
}

function readFile(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new NatsConfigError(`cannot read the ${what} in ${file}: ${messageOf(error)}`);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
