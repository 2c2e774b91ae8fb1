import type { LogFormat, LogLevel } from '../log/levels.js';
import type { ChannelLimits } from './channel-limits.js';
import type { ChannelLimitsTable } from './limits-table.js';

export type { ChannelLimits };

/** The configuration of one broker, with every choice made. */
export interface ServeConfig {
  readonly clusterId: string;
  readonly discoverPrefix: string;
  /** The broker's name in its group and in logs. */
  readonly nodeName: string;
  readonly store: StoreConfig;
  /** Undefined for a lone broker. */
  readonly group: GroupConfig | undefined;
  /** 0 is unlimited. */
  readonly maxChannels: number;
  /** The limits of channels by name: see `limitsFor`. */
  readonly channelLimits: ChannelLimitsTable;
  /** Bytes that may wait for the disk. */
  readonly maxPendingBytes: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly heartbeatFailCount: number;
  readonly replaceDurable: boolean;
  readonly nats: NatsConfig;
  /** The nats-server to start and supervise; undefined to attach to `nats.servers`. */
  readonly natsServer: NatsServerConfig | undefined;
  /** 0 takes a free port; undefined is no HTTP. */
  readonly httpPort: number | undefined;
  readonly httpAddress: string;
  /** Names under which HTTP answers, in lower case: `a.example.com`, `*.example.com`, `*`. Undefined for the default. */
  readonly httpAllowedHosts: readonly string[] | undefined;
  /** Undefined for plain HTTP. */
  readonly httpTls: HttpTlsConfig | undefined;
  /** Undefined if anyone who reaches the port may read. */
  readonly httpAccess: HttpAccess | undefined;
  /** How many channels have their own series in the metrics; 0 is none. */
  readonly metricsMaxChannels: number;
  readonly log: LogConfig;
  readonly pidFile: string | undefined;
  /** A sentence for each option without effect, for the log. */
  readonly warnings: readonly string[];
}

/** The group of brokers on one store that this one belongs to. */
export interface GroupConfig {
  readonly name: string;
  /** How long an active may be silent before a standby takes over. */
  readonly leaseMs: number;
}

/** Files in PEM. */
export interface HttpTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The credentials that HTTP accepts: a request needs one of those that are set. */
export interface HttpAccess {
  readonly basic: { readonly user: string; readonly pass: string } | undefined;
  readonly token: string | undefined;
}

export type StoreConfig =
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'file';
      readonly dir: string;
      /** Whether a batch is synced before it is acknowledged. */
      readonly sync: boolean;
    };

/** How to connect to NATS: to other servers, or to the supervised nats-server. */
export interface NatsConfig {
  /** `nats://host:port` or `tls://host:port`, without user and password. Empty if a nats-server is started. */
  readonly servers: readonly string[];
  /** Whether to try the servers in their order, instead of a random one. */
  readonly inOrder: boolean;
  readonly user: string | undefined;
  readonly pass: string | undefined;
  readonly token: string | undefined;
  readonly credsFile: string | undefined;
  readonly nkeyFile: string | undefined;
  /** Undefined for TLS only if the server requires it. */
  readonly tls: NatsTlsConfig | undefined;
}

export interface NatsTlsConfig {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly serverName: string | undefined;
  /** Whether to accept any certificate. */
  readonly skipVerify: boolean;
}

/** The supervised nats-server. It requires the user, password and token of `NatsConfig` from its clients. */
export interface NatsServerConfig {
  readonly binary: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The URL on which it accepts routes of other nats-servers. */
  readonly clusterUrl: string | undefined;
  readonly clusterName: string | undefined;
  readonly routes: readonly string[];
  readonly configFile: string | undefined;
  /** Set if that is the file of a Go server, of which the nats-server gets only a part: whether it is a file for NATS alone. */
  readonly goFile?: GoFileUse;
  /** Whether the user, password and token of `NatsConfig` are the broker's only: a Go server's file says what clients need. */
  readonly isLoginInFile?: boolean;
  /** More flags for it, like `--tlscert=PATH`. */
  readonly flags: readonly string[];
}

/** What a Go server's file is for: `both` the streaming server and NATS, or `nats` alone. */
export type GoFileUse = 'both' | 'nats';

export interface LogConfig {
  readonly level: LogLevel;
  /** Undefined for pretty on a terminal, else JSON. */
  readonly format: LogFormat | undefined;
  /** Undefined for standard output. */
  readonly file: string | undefined;
  readonly withTime: boolean;
}

/** The limits of a channel. It is fast and keeps nothing per name, so a million names are fine. */
export function limitsFor(
  config: Pick<ServeConfig, 'channelLimits'>,
  channelName: string,
): Readonly<ChannelLimits> {
  return config.channelLimits.for(channelName);
}
