import { ConfigError } from './config-error.js';
import type { OptionValues } from './options.js';
import type { HttpAccess, HttpTlsConfig } from './serve-config.js';

/** The credentials that HTTP requires; undefined if anyone who reaches the port may read. @throws ConfigError */
export function httpAccessOf(values: OptionValues): HttpAccess | undefined {
  const user = values['http-user'];
  const pass = values['http-pass'];
  const token = values['http-token'];
  if ((user === undefined) !== (pass === undefined)) {
    throw new ConfigError('--http-user and --http-pass go together: give both, or none');
  }
  if (user?.includes(':'))
    throw new ConfigError('--http-user must not have a colon: HTTP ends the name there');
  for (const [name, value] of Object.entries({ user, pass, token })) {
    if (value === '') throw new ConfigError(`--http-${name} is empty: give one, or leave it out`);
  }
  // Most often this is the newline at the end of a secret's file. No client could send it, and all would get 401.
  for (const [name, value] of Object.entries({ user, pass })) {
    if (value !== undefined && /\p{Cc}/u.test(value))
      throw new ConfigError(
        `--http-${name} has a newline or another control character, which HTTP cannot carry`,
      );
  }
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigError(
      '--http-token has a blank, a newline or a character beyond ASCII, which HTTP cannot carry in a token',
    );
  }
  const basic = user === undefined || pass === undefined ? undefined : { user, pass };
  return basic === undefined && token === undefined ? undefined : { basic, token };
}

/** The certificate of HTTP; undefined for plain HTTP. @throws ConfigError if only one of the two files is given */
export function httpTlsOf(values: OptionValues): HttpTlsConfig | undefined {
  const certFile = values['http-tls-cert'];
  const keyFile = values['http-tls-key'];
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError('--http-tls-cert and --http-tls-key go together: give both, or none');
  }
  return { certFile, keyFile };
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** Warnings about HTTP options that are dangerous, for the log. */
export function httpWarnings(values: OptionValues): string[] {
  if (values['http-port'] === false || LOOPBACK.test(values['http-addr'])) return [];
  const isOpenSecret = httpAccessOf(values) !== undefined && httpTlsOf(values) === undefined;
  if (!isOpenSecret) return [];
  return ['HTTP sends its secrets unencrypted: add --http-tls-cert and --http-tls-key'];
}
