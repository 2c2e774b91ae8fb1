// How to connect to NATS, for a broker and for the tools: credentials, URLs and TLS from the options of the same names.

import type { Choices } from './choose.js';
import { ConfigError } from './config-error.js';
import { OPTION_NAMES, type OptionName, type OptionValues, optionOf, snake } from './options.js';
import type { NatsConfig, NatsServerConfig, NatsTlsConfig } from './serve-config.js';

/** User and password, or a token, or none of them. */
export interface Credentials {
  user: string | undefined;
  pass: string | undefined;
  token: string | undefined;
}

/** The options for connecting to NATS, which brokers and tools share. */
export const NATS_OPTIONS = [
  'nats-server',
  'nats-in-order',
  'user',
  'pass',
  'auth',
  'creds',
  'nkey',
  'tls-ca',
  'tls-cert',
  'tls-key',
  'tls-server-name',
  'secure',
] as const satisfies readonly OptionName[];

export type NatsOption = (typeof NATS_OPTIONS)[number];

/**
 * The configuration for connecting to NATS.
 *
 * @param isOwnTls whether stanchion starts the nats-server, and with TLS
 * @throws ConfigError on a wrong URL, and on options that contradict each other
 */
export function natsConfigOf(choices: Choices<NatsOption>, isOwnTls = false): NatsConfig {
  const { values } = choices;
  const { servers, inUrls } = parseServers(
    values['nats-server'] ?? [],
    choices.where.get('nats-server') ?? '',
  );
  if (values.creds !== undefined && values.nkey !== undefined) throw bothGiven(choices, 'creds', 'nkey');
  return {
    servers,
    inOrder: values['nats-in-order'],
    ...credentialsOf(choices, inUrls),
    credsFile: values.creds,
    nkeyFile: values.nkey,
    tls: tlsOf(choices, isOwnTls),
  };
}

/** The configuration of the nats-server to start; undefined if the broker attaches to other servers. */
export function natsServerConfigOf({ values }: Choices): NatsServerConfig | undefined {
  if (values['nats-server'] !== undefined) return undefined;
  return {
    binary: values['nats-server-bin'],
    host: values.addr,
    port: values.port,
    clusterUrl: values.cluster,
    clusterName: values['cluster-name'],
    routes: values.routes ?? [],
    configFile: values['nats-config'],
    flags: OPTION_NAMES.filter((name) => optionOf(name).isHandedOn && values[name] !== undefined).map(
      (name) => `--${snake(name)}=${values[name]}`,
    ),
  };
}

/** Whether the nats-server that is started asks for TLS. */
export function startsTls(values: OptionValues): boolean {
  return values['nats-server'] === undefined && (values.tls === true || values.tlsverify === true);
}

const DEFAULT_PORT = '4222';

/** Parses a URL. Older tools and examples write `tcp://` for `nats://`. */
function parseServerUrl(text: string, where: string): URL {
  const address = text.includes('://') ? text.replace(/^tcp:/i, 'nats:') : `nats://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
    throw new ConfigError(`${where}: "${text}" is not a URL like nats://host:4222 or tls://host:4222`);
  }
  return url;
}

/**
 * Splits URLs like `nats://user:pass@host` and `nats://token@host` into servers and credentials.
 *
 * @param where where the URLs were given, for error messages
 * @throws ConfigError if one is not the URL of a NATS server, or if their credentials differ
 */
export function parseServers(
  texts: readonly string[],
  where: string,
): { servers: string[]; inUrls: Credentials | undefined } {
  const urls = texts.map((text) => parseServerUrl(text, where));
  const [first, ...others] = urls.filter((url) => url.username !== '').map(credentialsInUrl);
  if (
    first !== undefined &&
    others.some((each) => each.user !== first.user || each.pass !== first.pass || each.token !== first.token)
  ) {
    throw new ConfigError('--nats-server: all URLs must have the same user and password');
  }
  const servers = urls.map((url) => `${url.protocol}//${url.hostname}:${url.port || DEFAULT_PORT}`);
  return { servers, inUrls: first };
}

/** The credentials from the options, else from the URLs. */
function credentialsOf(choices: Choices<NatsOption>, inUrls: Credentials | undefined): Credentials {
  const { values } = choices;
  if (values.auth !== undefined && values.user !== undefined) throw bothGiven(choices, 'auth', 'user');
  if (values.pass !== undefined && values.user === undefined) {
    throw new ConfigError(`${choices.where.get('pass')} needs --user`);
  }
  const given = { user: values.user, pass: values.pass, token: values.auth };
  if (inUrls === undefined) return given;
  if (values.user !== undefined || values.auth !== undefined) {
    throw new ConfigError('--nats-server has credentials in its URLs: leave them out, or --user and --auth');
  }
  return inUrls;
}

function credentialsInUrl(url: URL): Credentials {
  const name = decode(url.username);
  if (url.password === '') return { user: undefined, pass: undefined, token: name };
  return { user: name, pass: decode(url.password), token: undefined };
}

/** Decodes percent escapes. Text with a `%` that escapes nothing stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function tlsOf(choices: Choices<NatsOption>, isOwnTls: boolean): NatsTlsConfig | undefined {
  const { values } = choices;
  const certFile = values['tls-cert'];
  const keyFile = values['tls-key'];
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ConfigError('--tls-cert and --tls-key belong together: give both, or none');
  }
  const caFile = values['tls-ca'];
  const serverName = values['tls-server-name'];
  if (caFile !== undefined || certFile !== undefined || serverName !== undefined || values.secure) {
    return { caFile, certFile, keyFile, serverName, skipVerify: values.secure };
  }
  // The connection is on the loopback to our own process, so its certificate needs no check.
  return isOwnTls ? { caFile, certFile, keyFile, serverName, skipVerify: true } : undefined;
}

function bothGiven(choices: Choices<NatsOption>, a: OptionName, b: OptionName): ConfigError {
  return new ConfigError(`${choices.where.get(a)} and ${choices.where.get(b)} exclude each other: give one`);
}
