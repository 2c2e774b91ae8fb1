import { join } from 'node:path';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { nodeFs } from '../files/fs.js';
import type { MemberStatus } from '../group/report/member-status.js';
import { LocalGroup } from '../local-group/local-group.js';
import { createLogger } from '../log/logger.js';
import { fileOutput, type LogOutput } from '../log/output.js';
import { DEFAULT_DISCOVER_PREFIX } from '../protocol/stan-subjects.js';
import { checkIdentity } from '../store/file/identity.js';
import type { DrillGroup } from './drill-group.js';
import type { LocalTarget } from './drill-options.js';
import { GroupError } from './watched-group.js';
import { WorkDir } from './work-dir.js';

/** A group that the drill starts on this machine, with a store of its own. */
export class LocalDrillGroup implements DrillGroup {
  readonly clusterId = 'drill';
  readonly discoverPrefix = DEFAULT_DISCOVER_PREFIX;
  readonly name = 'drill';
  readonly memberCount: number;
  readonly nats: NodeConnectionOptions;
  readonly #dir: WorkDir;
  readonly #group: LocalGroup;
  #key: Buffer | undefined;

  private constructor(dir: WorkDir, group: LocalGroup) {
    this.#dir = dir;
    this.#group = group;
    this.memberCount = group.brokers.length;
    this.nats = { servers: group.urls, ignoreClusterUpdates: true };
  }

  /** @throws ConfigError if the folder cannot be used; Error if there is no nats-server */
  static async start({ nodes, dir: path }: LocalTarget): Promise<LocalDrillGroup> {
    const dir = WorkDir.open(path);
    const logs = new Map<string, LogOutput>();
    const logOf = (name: string): LogOutput => {
      const log = logs.get(name) ?? fileOutput(join(dir.logs, `${name}.log`));
      logs.set(name, log);
      return log;
    };
    try {
      const group = await LocalGroup.start({
        nodes,
        dir: dir.store,
        port: 0,
        httpPort: undefined,
        clusterId: 'drill',
        group: 'drill',
        // Without limits every acknowledged message must be there at the end.
        flags: ['--log-format', 'json', '--max-msgs', '0', '--max-bytes', '0'],
        isCuttable: true,
        log: await createLogger({ level: 'info', format: 'json', output: logOf('nats-servers') }),
        onLine: (node, line) => logOf(node).write(`${line}\n`),
      });
      return new LocalDrillGroup(dir, group);
    } catch (error) {
      dir.close(false);
      throw error;
    }
  }

  async groupKey(): Promise<Buffer | undefined> {
    this.#key ??= (await checkIdentity(nodeFs, this.#dir.store, this.clusterId))?.groupKey;
    return this.#key;
  }

  /** All members are children of this process. */
  async checkReach(): Promise<void> {}

  signal({ node, pid }: MemberStatus, signal: NodeJS.Signals): void {
    // The pid in the status is not trusted: by now it may belong to another process.
    const broker = this.#group.brokers.find((known) => known.node === node);
    if (broker?.pid !== pid) throw new GroupError(`${node} (pid ${pid}) has ended by itself`);
    process.kill(pid, signal);
  }

  signalServer({ node, natsServer }: MemberStatus, signal: NodeJS.Signals): void {
    const i = this.#group.brokers.findIndex((known) => known.node === node);
    const server = this.#group.servers[i];
    if (server?.pid === undefined || !server.url.endsWith(natsServer))
      throw new GroupError(`${node} is connected to the nats-server ${natsServer}, not to its own`);
    process.kill(server.pid, signal);
  }

  async close(last: string | undefined, hasFailed: boolean): Promise<string | undefined> {
    await this.#group.stop(last);
    return this.#dir.close(hasFailed);
  }
}
