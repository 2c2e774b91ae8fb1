// The nats-server that a broker starts, watches and stops.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type Clock, systemClock, type Timer } from '../clock/clock.js';
import type { NatsConfig, NatsServerConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';
import { Backoff } from './backoff.js';
import { messageOf } from './credentials.js';
import { findExecutable, searchPath } from './executable.js';
import { MONITORING_ON_LOOPBACK, monitoringAt, type NatsMonitoring } from './monitoring.js';
import { hasClientUsers, isInOperatorMode, setsCluster, setsMonitoring } from './server-config-file.js';
import { explainFailedStart, missingBinary, NatsServerError, newServerName } from './server-error.js';
import { makeServerFolder } from './server-folder.js';
import { ServerLog } from './server-log.js';
import { aboutGoFile, partPath, writePart } from './server-part.js';
import { probe } from './server-probe.js';
import { clusterLines, hasCredentials, quoted, ServerSecrets } from './server-secrets.js';

export interface SupervisedServerOptions {
  config: NatsServerConfig;
  /** The credentials that the server requires from its clients, also from the broker. */
  credentials: Pick<NatsConfig, 'user' | 'pass' | 'token'>;
  logger: Logger;
  /** Whether it gets monitoring pages, which only this machine can reach. Those in its configuration file stay. */
  withMonitoring?: boolean;
  clock?: Clock;
  random?: () => number;
  /** Limit for a start, until it accepts connections. */
  startTimeoutMs?: number;
  /** Time between SIGTERM and SIGKILL. */
  stopGraceMs?: number;
  /** Folders with executables [the environment's PATH]. */
  path?: string;
  /** Gives up the start when it aborts. */
  signal?: AbortSignal;
}

const DEFAULT_START_TIMEOUT_MS = 10_000;
const DEFAULT_STOP_GRACE_MS = 5_000;
const READY_POLL_MS = 10;
const PROBE_TIMEOUT_MS = 1_000;
const FIRST_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** A server that ran this long ended for another reason than the one before it. */
const SETTLED_MS = 30_000;

/**
 * A real nats-server as a child process of the broker. It is restarted when it dies, and stopped with the broker. On Linux the kernel
 * kills it if the broker is killed.
 */
export class SupervisedServer {
  /** How often it died and was started again. */
  restarts = 0;

  readonly #options: SupervisedServerOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #binary: string;
  readonly #deathSignalWrapper: string | undefined;
  /** A temporary folder with its configuration, in which it announces its ports. */
  readonly #dir: string;
  /** Its configuration, which refers to secrets, and has none. */
  #config = '';
  #listenPort: number;
  #pages: NatsMonitoring = { kind: 'starting' };
  #child: ChildProcess | undefined;
  #childEnded: Promise<unknown> = Promise.resolve();
  readonly #onProcessExit = () => this.#child?.kill('SIGKILL');
  #isStopping = false;

  private constructor(options: SupervisedServerOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'nats-server' });
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(this.#clock, options.random ?? Math.random, FIRST_RESTART_MS, MAX_RESTART_MS);
    // nats-server takes a free port for -1, and not for 0.
    this.#listenPort = options.config.port === 0 ? -1 : options.config.port;
    const path = options.path ?? searchPath(process.env.PATH);
    const binary = findExecutable(options.config.binary, path);
    if (binary === undefined) throw missingBinary(options.config.binary);
    this.#binary = binary;
    this.#deathSignalWrapper = process.platform === 'linux' ? findExecutable('setpriv', path) : undefined;
    this.#dir = makeServerFolder();
    process.on('exit', this.#onProcessExit);
  }

  /**
   * Starts a nats-server, and resolves when it accepts connections.
   *
   * @throws NatsServerError if there is no binary, the port is taken, or the server ends at once; the signal's reason
   */
  static async start(options: SupervisedServerOptions): Promise<SupervisedServer> {
    const server = new SupervisedServer(options);
    try {
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#listenPort;
  }

  /** The URL for connections from this machine. */
  get url(): string {
    const host = this.#localHost;
    return `nats://${host.includes(':') ? `[${host}]` : host}:${this.#listenPort}`;
  }

  /** Its monitoring pages. Each start has another port for them. */
  get monitoring(): NatsMonitoring {
    return this.#pages;
  }

  /** The id of the running process. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Makes the server read its configuration file again, if it has one. */
  reload(): void {
    // A starting server reads the file anyway, and a signal that it does not handle yet would end it.
    const { configFile } = this.#options.config;
    if (configFile === undefined || this.#pages.kind === 'starting') return;
    try {
      this.#writePart();
    } catch (error) {
      const reason = messageOf(error);
      this.#logger.error(
        { reason },
        `nats-server goes on as it is: its part of ${configFile} cannot be read`,
      );
      return;
    }
    this.#logger.info({}, 'nats-server is asked to read its configuration file again');
    if (this.#config !== '') this.#writeConfig();
    this.#child?.kill('SIGHUP');
  }

  /** Stops the server with SIGTERM, and after a grace with SIGKILL. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#backoff.wake();
    const child = this.#child;
    if (child) {
      child.kill('SIGTERM');
      const timer = this.#clock.setTimer(this.#options.stopGraceMs ?? DEFAULT_STOP_GRACE_MS, () => {
        this.#logger.warn({ pid: child.pid }, 'nats-server does not stop: killing it');
        child.kill('SIGKILL');
      });
      await this.#childEnded;
      timer.cancel();
    }
    process.removeListener('exit', this.#onProcessExit);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  get #localHost(): string {
    const { host } = this.#options.config;
    return host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host;
  }

  /** Starts the process, and waits until it is ready. From then on it is restarted when it ends. */
  async #launch(): Promise<void> {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    for (const file of readdirSync(this.#dir)) rmSync(join(this.#dir, file));
    this.#writePart();
    const secrets = new ServerSecrets();
    const args = this.#args(secrets);
    const [command, allArgs] = this.#deathSignalWrapper
      ? [this.#deathSignalWrapper, ['--pdeathsig', 'KILL', this.#binary, ...args]]
      : [this.#binary, args];
    // It gets a process group of its own: after Ctrl-C the broker still needs it, to answer and to hand over, and then stops it.
    const env = { ...process.env, ...secrets.environment };
    const child = spawn(command, allArgs, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const log = new ServerLog(this.#logger);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => log.write('stdout', chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => log.write('stderr', chunk));
    const sinceMs = this.#clock.monotonicMs();
    let isReady = false;
    const ended = new Promise<string>((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => {
        log.end();
        resolve(signal ? `killed by ${signal}` : `exit code ${code}`);
      });
    });
    // Without a pid no process was started.
    if (child.pid !== undefined) {
      this.#child = child;
      this.#childEnded = ended;
    }
    void ended.then((how) => {
      if (this.#child === child) this.#child = undefined;
      this.#pages = { kind: 'starting' };
      if (!isReady || this.#isStopping) return;
      if (this.#clock.monotonicMs() - sinceMs >= SETTLED_MS) this.#backoff.reset();
      this.#logger.error({ how }, 'nats-server has died: starting it again');
      void this.#relaunch();
    });

    const failure = await this.#untilReady(ended);
    if (failure !== undefined) {
      child.kill('SIGKILL');
      await ended;
      this.#options.signal?.throwIfAborted();
      const error = await explainFailedStart(failure, log, this.#localHost, this.#listenPort, this.#clock);
      const { configFile, goFile } = this.#options.config;
      throw goFile !== undefined && configFile !== undefined
        ? new NatsServerError(aboutGoFile(error.message, configFile))
        : error;
    }
    isReady = true;
    this.#logger.info({ pid: child.pid, url: this.url }, 'nats-server takes connections');
  }

  async #relaunch(): Promise<void> {
    for (;;) {
      await this.#backoff.wait();
      if (this.#isStopping) return;
      this.restarts++;
      try {
        await this.#launch();
        return;
      } catch (error) {
        if (this.#isStopping) return;
        this.#logger.error({ reason: messageOf(error) }, 'nats-server did not start: trying again');
      }
    }
  }

  /** @returns why the server will not be ready; undefined when it is */
  async #untilReady(ended: Promise<string>): Promise<string | undefined> {
    const timeoutMs = this.#options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    const untilMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      const announced = this.#announced();
      if (announced !== undefined) {
        const { port } = announced;
        this.#listenPort = port;
        // The announcement shows that our child listens; the probe shows that it can be reached.
        const found = await probe(this.#localHost, port, PROBE_TIMEOUT_MS, this.#clock);
        if (found.kind !== 'none') {
          this.#pages = announced.monitoring;
          return undefined;
        }
      }
      if (this.#options.signal?.aborted) return 'given up';
      if (this.#clock.monotonicMs() > untilMs) return `not ready after ${timeoutMs} ms`;
      let timer: Timer | undefined;
      const pause = new Promise<undefined>((resolve) => {
        timer = this.#clock.setTimer(READY_POLL_MS, () => resolve(undefined));
      });
      const how = await Promise.race([ended, pause]);
      timer?.cancel();
      if (how !== undefined) return how;
    }
  }

  /** The ports that our child says it listens on; undefined if it has not said so yet. */
  #announced(): { port: number; monitoring: NatsMonitoring } | undefined {
    const file = readdirSync(this.#dir).find((name) => name.endsWith('.ports'));
    if (!file) return undefined;
    try {
      const text = readFileSync(join(this.#dir, file), 'utf8');
      const { nats, monitoring } = JSON.parse(text) as { nats?: string[]; monitoring?: string[] };
      const port = /:(\d+)$/.exec(nats?.[0] ?? '')?.[1];
      return port === undefined ? undefined : { port: Number(port), monitoring: monitoringAt(monitoring) };
    } catch {
      // Half written.
      return undefined;
    }
  }

  #args(secrets: ServerSecrets): string[] {
    const { config } = this.#options;
    const hasClusterInFile = this.#hasClusterInFile;
    return [
      '--addr',
      config.host,
      '--port',
      String(this.#listenPort),
      '--ports_file_dir',
      this.#dir,
      // A configuration file may set a name that others know.
      ...(config.configFile === undefined ? ['--name', newServerName()] : []),
      ...this.#configArgs(secrets, hasClusterInFile),
      ...(config.clusterUrl === undefined || hasClusterInFile ? [] : ['--cluster', config.clusterUrl]),
      ...(config.clusterName === undefined ? [] : ['--cluster_name', config.clusterName]),
      ...(config.routes.length === 0 || hasClusterInFile ? [] : ['--routes', config.routes.join(',')]),
      ...config.flags,
    ];
  }

  /** Keeps passwords out of the arguments, which any user of the machine can read. */
  #configArgs(secrets: ServerSecrets, hasClusterInFile: boolean): string[] {
    const { clusterUrl, routes } = this.#options.config;
    const configFile = this.#configFile;
    const lines = [...this.#monitoringLines(), ...this.#authorizationLines(secrets)];
    if (hasClusterInFile) lines.push(...clusterLines(clusterUrl, routes, secrets));
    if (lines.length === 0) return configFile === undefined ? [] : ['--config', configFile];
    // A nats-server takes the path of an include as relative to the file's folder. The last `authorization` replaces those before it.
    if (configFile !== undefined)
      lines.unshift(`include ${quoted(relative(this.#dir, resolve(configFile)))}`);
    this.#config = `${lines.join('\n')}\n`;
    return ['--config', this.#writeConfig()];
  }

  /** What the nats-server is to read. */
  get #configFile(): string | undefined {
    const { configFile, goFile } = this.#options.config;
    return goFile !== undefined && configFile !== undefined ? partPath(this.#dir) : configFile;
  }

  /** Writes the part of a Go server's file that is for the nats-server. @throws ConfigError, and Error if the file cannot be read */
  #writePart(): void {
    const { configFile, goFile } = this.#options.config;
    if (goFile === undefined || configFile === undefined) return;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    writePart(configFile, goFile, this.#dir);
  }

  /** @returns the path. A clean-up job may have removed an old folder */
  #writeConfig(): string {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const file = join(this.#dir, 'nats.conf');
    writeFileSync(file, this.#config, { mode: 0o600 });
    return file;
  }

  #monitoringLines(): string[] {
    const { withMonitoring = false, credentials } = this.#options;
    // To anyone who can connect to the port, /connz?auth=1 shows the token of each client; of users it shows the names.
    if (credentials.token !== undefined) return [];
    const configFile = this.#configFile;
    if (!withMonitoring || (configFile !== undefined && setsMonitoring(configFile))) return [];
    return [MONITORING_ON_LOOPBACK];
  }

  /** Whether the routes are in the file, since their URLs have a password. */
  get #hasClusterInFile(): boolean {
    const { clusterUrl, routes, configFile: usersFile } = this.#options.config;
    const configFile = this.#configFile;
    if (![clusterUrl ?? '', ...routes].some(hasCredentials)) return false;
    if (configFile === undefined || !setsCluster(configFile)) return true;
    this.#logger.warn(
      {},
      `--cluster or --routes has a password, and every user of this machine can see it in the list of processes: write it into ${usersFile}, ` +
        'which has a block "cluster" that would be lost otherwise',
    );
    return false;
  }

  /** @throws NatsServerError if the server would ignore the credentials */
  #authorizationLines(secrets: ServerSecrets): string[] {
    const { user, pass, token } = this.#options.credentials;
    if (this.#options.config.isLoginInFile || (user === undefined && token === undefined)) return [];
    // Two lists of users contradict each other. As in the Go server the file's list stays, and must have our user.
    const configFile = this.#configFile;
    if (configFile !== undefined && hasClientUsers(configFile)) return [];
    if (configFile !== undefined && isInOperatorMode(configFile)) {
      throw new NatsServerError(
        `${this.#options.config.configFile} has an operator, so that all clients log in with JWTs: give the broker --creds, not --user or --auth`,
      );
    }
    const fields = token === undefined ? { user: user ?? '', password: pass ?? '' } : { token };
    const entries = Object.entries(fields).map(([key, value]) => `  ${key}: ${secrets.reference(value)}`);
    return ['authorization {', ...entries, '}'];
  }
}
