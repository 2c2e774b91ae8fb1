// How to connect to NATS, for a broker and for the tools: credentials, URLs and TLS from the options of the same names.

import { parseServerUrl, type ServerUrl, shownUrls } from '../util/server-url.js';
import type { Choices } from './choose.js';
import { ConfigError } from './config-error.js';
import type { NatsPart } from './config-file.js';
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

/**
 * The configuration of the nats-server to start; undefined if the broker attaches to other servers.
 *
 * @param part the part of a Go server's file that is for the nats-server
 */
export function natsServerConfigOf(
  { values, where }: Choices,
  part?: NatsPart,
): NatsServerConfig | undefined {
  if (values['nats-server'] !== undefined) return undefined;
  const configFile = values['nats-config'];
  const login = where.get('user') ?? where.get('auth');
  return {
    binary: values['nats-server-bin'],
    host: values.addr,
    port: values.port,
    clusterUrl: values.cluster,
    clusterName: values['cluster-name'],
    routes: values.routes ?? [],
    configFile: configFile ?? (part !== undefined && part.names.length > 0 ? part.path : undefined),
    ...(part !== undefined && configFile === undefined && { goFile: part.use }),
    ...(part !== undefined && { isLoginInFile: login !== undefined && part.places.has(login) }),
    flags: OPTION_NAMES.filter((name) => optionOf(name).isHandedOn && values[name] !== undefined).map(
      (name) => `--${snake(name)}=${values[name]}`,
    ),
  };
}

/**
 * Whether the nats-server that is started asks for TLS.
 *
 * @param part the part of a Go server's file that is for the nats-server
 */
export function startsTls(values: OptionValues, part?: NatsPart): boolean {
  const isInFile =
    values['nats-config'] === undefined && part?.names.some((name) => name.toLowerCase() === 'tls');
  return (
    values['nats-server'] === undefined &&
    (values.tls === true || values.tlsverify === true || isInFile === true)
  );
}

/**
 * Splits URLs like `nats://user:pass@host` and `nats://token@host` into servers and credentials.
 *
 * @param where where the URLs were given, for error messages
 * @throws ConfigError if one is not the URL of a NATS server, or if their credentials differ. No error shows any credentials
 */
export function parseServers(
  texts: readonly string[],
  where: string,
): { servers: string[]; inUrls: Credentials | undefined } {
  const urls = texts.map((text, i) => parsedUrl(text, texts.slice(0, i), where));
  const [first, ...others] = urls.filter((url) => url.user !== undefined).map(credentialsInUrl);
  if (
    first !== undefined &&
    others.some((each) => each.user !== first.user || each.pass !== first.pass || each.token !== first.token)
  ) {
    throw new ConfigError(`${where}: all URLs must have the same user and password`);
  }
  const servers = urls.map(({ scheme, host, port }) => `${scheme}://${host}:${port}`);
  return { servers, inUrls: first };
}

function parsedUrl(text: string, before: readonly string[], where: string): ServerUrl {
  const found = parseServerUrl(text);
  // The first part of such a password looks like a port.
  const isSplit = text.includes('@') && !text.includes('://') && /:\/\/[^@]*$/.test(before.at(-1) ?? '');
  const wrong = isSplit ? 'a comma ends a URL' : found;
  if (typeof wrong !== 'string') return wrong;
  const shown = shownUrls(text);
  const hint =
    shown === text
      ? ''
      : '. In a password write % as %25, and a comma as %2C; better, give it by STANCHION_PASS or the config file';
  throw new ConfigError(
    `${where}: "${shown}" is not a URL like nats://host:4222 or tls://host:4222: ${wrong}${hint}`,
  );
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

function credentialsInUrl({ user, pass }: ServerUrl): Credentials {
  if (pass === undefined) return { user: undefined, pass: undefined, token: user };
  return { user, pass, token: undefined };
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
