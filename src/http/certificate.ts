import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { HttpTlsConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';

/** The files are polled. Kubernetes replaces mounted files by symbolic links, which file watching does not reliably notice. */
const LOOK_INTERVAL_MS = 2_000;

/** A certificate and its key, in PEM. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The certificate of HTTP. It is read again when its files are replaced. */
export class Certificate {
  readonly #files: HttpTlsConfig;
  readonly #log: Logger;
  #current: KeyPair;
  #onChanged: ((pair: KeyPair) => void) | undefined;
  readonly #look = (): void => this.reload();

  /** @throws Error naming the file that cannot be used */
  constructor(files: HttpTlsConfig, log: Logger) {
    this.#files = files;
    this.#log = log;
    this.#current = readPair(files);
  }

  get current(): KeyPair {
    return this.#current;
  }

  /** Watches the files. @param onChanged called with each new certificate that can be used */
  watch(onChanged: (pair: KeyPair) => void): void {
    this.#onChanged = onChanged;
    for (const file of [this.#files.certFile, this.#files.keyFile]) {
      watchFile(file, { interval: LOOK_INTERVAL_MS, persistent: false }, this.#look);
    }
  }

  unwatch(): void {
    this.#onChanged = undefined;
    for (const file of [this.#files.certFile, this.#files.keyFile]) unwatchFile(file, this.#look);
  }

  /** Reads the files again. If they cannot be used, that is logged and the present certificate stays. */
  reload(): void {
    const { certFile } = this.#files;
    try {
      const pair = readPair(this.#files);
      if (pair.cert.equals(this.#current.cert) && pair.key.equals(this.#current.key)) return;
      this.#current = pair;
      this.#onChanged?.(pair);
      this.#log.info({ file: certFile }, 'the certificate of HTTP was read again');
    } catch (error) {
      // Perhaps only one of the two files has been replaced yet.
      const reason = (error as Error).message;
      this.#log.warn({ reason }, 'the new certificate of HTTP cannot be used: the old one stays');
    }
  }
}

function readPair({ certFile, keyFile }: HttpTlsConfig): KeyPair {
  const pair = {
    cert: readFile('--http-tls-cert', certFile),
    key: readFile('--http-tls-key', keyFile),
  };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new Error(`${certFile} and ${keyFile} cannot be used for HTTP: ${(error as Error).message}`);
  }
  return pair;
}

function readFile(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${flag}: cannot read ${path}: ${(error as Error).message}`);
  }
}
