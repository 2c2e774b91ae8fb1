import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Clock, Timer } from '../clock/clock.js';
import { LinkProtocolError, MAX_CONTROL_LINE_BYTES } from './parser.js';
import { parseServerInfo, type ServerInfo } from './server-info.js';

/** The server to connect to, and how. */
export interface LinkTarget {
  /** The name of the server, also in its certificate. */
  host: string;
  port: number;
  /** Undefined for an address that the system finds for the name. */
  address?: string | undefined;
  /** If set, TLS is required. If not, TLS is used (with the authorities that Node trusts) if the server has it, as in nats.js. */
  tls?: tls.ConnectionOptions | undefined;
  /** Whether the server begins with the TLS handshake, before its INFO (`handshake_first`). */
  tlsFirst?: boolean | undefined;
  /** More fields of CONNECT for this server: user and password, or a signature of `info.nonce`; name, version. */
  connectFields?: ((info: ServerInfo) => Record<string, unknown>) | undefined;
  /** Limit for connecting, until the server has accepted the credentials. */
  connectTimeoutMs: number;
}

/** Receives the bytes of a socket: `free` is the memory for the next ones, and `filled` is called with their number. */
export interface ByteSink {
  readonly free: Buffer;
  filled(byteCount: number): void;
}

export interface Dialed {
  socket: Duplex;
  /** The INFO, if it came before TLS. Otherwise the sink receives it first. */
  info: ServerInfo | undefined;
}

/** The other side has not answered in time. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError';
}

/** One attempt to connect, which can be given up at any moment. */
export class Dial {
  #socket: net.Socket | undefined;
  #giveUp: ((error: Error) => void) | undefined;
  #error: Error | undefined;

  /** Gives up the attempt, and closes its socket. */
  abort(error: Error): void {
    this.#error ??= error;
    this.#socket?.destroy();
    this.#giveUp?.(this.#error);
  }

  /** Connects without TLS. Bytes are read straight into the sink's memory. */
  async plain(target: LinkTarget, sink: ByteSink): Promise<Dialed> {
    const socket = net.connect({
      host: target.address ?? target.host,
      port: target.port,
      onread: {
        buffer: () => sink.free,
        callback: (byteCount) => {
          sink.filled(byteCount);
          return true;
        },
      },
    });
    await this.#opened(socket, 'connect');
    return { socket, info: undefined };
  }

  /** Connects, reads INFO, then begins TLS; or begins with TLS. */
  async secure(target: LinkTarget, sink: ByteSink): Promise<Dialed> {
    const options = { ...target.tls };
    if (options.servername === undefined && net.isIP(target.host) === 0) options.servername = target.host;
    let info: ServerInfo | undefined;
    let raw: net.Socket | undefined;
    if (!target.tlsFirst) {
      raw = net.connect({ host: target.address ?? target.host, port: target.port });
      await this.#opened(raw, 'connect');
      info = await this.#firstInfo(raw);
      if (!info.tlsRequired && !info.tlsAvailable) {
        raw.destroy();
        throw new Error('TLS is required, and the server has none: configure TLS there, or connect without');
      }
    }
    const socket = tls.connect(
      raw
        ? { ...options, socket: raw }
        : { ...options, host: target.address ?? target.host, port: target.port },
    );
    await this.#opened(socket, 'secureConnect');
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length && !socket.destroyed; ) {
        const byteCount = chunk.copy(sink.free, 0, at);
        at += byteCount;
        sink.filled(byteCount);
      }
    });
    return { socket, info };
  }

  #opened(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
    this.#socket = socket;
    socket.setNoDelay(true);
    return this.#until(socket, (resolve) => {
      socket.once(event, resolve);
      return () => socket.removeListener(event, resolve);
    });
  }

  #firstInfo(socket: net.Socket): Promise<ServerInfo> {
    let line = '';
    return this.#until(socket, (resolve, reject) => {
      const onData = (chunk: Buffer) => {
        line += chunk.toString('latin1');
        const lineEnd = line.indexOf('\n');
        if (lineEnd < 0 && line.length <= MAX_CONTROL_LINE_BYTES) return;
        socket.pause();
        // Bytes behind the INFO would not be protected by TLS: anyone could have sent them.
        if (lineEnd !== line.length - 1 || !/^INFO[ \t]/i.test(line)) {
          reject(new LinkProtocolError('the server did not begin with one line of INFO'));
          return;
        }
        try {
          resolve(parseServerInfo(Buffer.from(line.slice(4), 'latin1').toString()));
        } catch (error) {
          reject(error as Error);
        }
      };
      socket.on('data', onData);
      return () => socket.removeListener('data', onData);
    });
  }

  /** Waits for an event of a socket, which may fail or close instead, and leaves no listeners behind. */
  #until<T>(
    socket: net.Socket,
    begin: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settled = () => {
        socket.removeListener('error', failed);
        socket.removeListener('close', closed);
        this.#giveUp = undefined;
        stop?.();
      };
      const failed = (error: Error) => {
        settled();
        // A late error must not become an uncaught one.
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      };
      const closed = () => failed(new Error('the server closed the connection'));
      socket.on('error', failed);
      socket.on('close', closed);
      this.#giveUp = failed;
      let stop: (() => void) | undefined;
      if (this.#error) {
        failed(this.#error);
        return;
      }
      stop = begin((value) => {
        settled();
        resolve(value);
      }, failed);
    });
  }
}

/**
 * Waits for `attempt`, but not longer than `timeoutMs`. Then it calls `abort`, which has to clean up.
 *
 * @throws the error of the attempt, or NoAnswerError
 */
export async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  abort: (error: Error) => void,
  attempt: Promise<T>,
): Promise<T> {
  let timer: Timer | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = clock.setTimer(timeoutMs, () => {
      const error = new NoAnswerError(`no answer within ${timeoutMs} ms`);
      reject(error);
      abort(error);
    });
  });
  try {
    return await Promise.race([attempt, timeout]);
  } finally {
    timer?.cancel();
  }
}
