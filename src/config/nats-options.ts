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

/** What says how to connect to NATS: of a broker, and under the same names of the tools. */
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
 * How to connect to NATS.
 *
 * @param isOwnTls whether the nats-server is one that is started here, and asks for TLS
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

/** The nats-server to start; undefined if there are servers to attach to. */
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

/** `tcp://` is what older tools and examples write for `nats://`. */
function parseServerUrl(text: string, where: string): URL {
  const address = text.includes('://') ? text.replace(/^tcp:/i, 'nats:') : `nats://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
    throw new ConfigError(`${where}: "${text}" is not a URL like nats://host:4222 or tls://host:4222`);
  }
  return url;
}

/**
 * The servers without user and password, and these: `nats://user:pass@host`, `nats://token@host`.
 *
 * @param where they were given, for people
 * @throws ConfigError if one is no URL of a NATS server, or if they have different credentials
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

/** From the options, else from the URLs. */
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

/** A `%` that escapes nothing is taken as it is. */
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
  // On the loopback, to a process of our own: there is nobody else whose certificate could come.
  return isOwnTls ? { caFile, certFile, keyFile, serverName, skipVerify: true } : undefined;
}

function bothGiven(choices: Choices<NatsOption>, a: OptionName, b: OptionName): ConfigError {
  return new ConfigError(`${choices.where.get(a)} and ${choices.where.get(b)} exclude each other: give one`);
}
