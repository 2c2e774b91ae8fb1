import type { LogFormat, LogLevel } from '../log/logger.js';
import type { ChannelLimits } from './channel-limits.js';
import type { ChannelLimitsTable } from './limits-table.js';

export type { ChannelLimits };

/** What one broker is to be, with every choice made. */
export interface ServeConfig {
  readonly clusterId: string;
  readonly discoverPrefix: string;
  /** Of this broker, among others and in logs. */
  readonly nodeName: string;
  readonly store: StoreConfig;
  /** Undefined: one broker alone. */
  readonly group: GroupConfig | undefined;
  /** 0 is unlimited. */
  readonly maxChannels: number;
  /** Of channels, by their name: see `limitsFor`. */
  readonly channelLimits: ChannelLimitsTable;
  /** Bytes that may wait for the disk. */
  readonly maxPendingBytes: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly heartbeatFailCount: number;
  readonly replaceDurable: boolean;
  readonly nats: NatsConfig;
  /** The nats-server to start and supervise. Undefined: attach to `nats.servers`. */
  readonly natsServer: NatsServerConfig | undefined;
  /** 0: any that is free. Undefined: no HTTP. */
  readonly httpPort: number | undefined;
  readonly httpAddress: string;
  /** Undefined: plain HTTP. */
  readonly httpTls: HttpTlsConfig | undefined;
  /** Undefined: whoever reaches the port may read. */
  readonly httpAccess: HttpAccess | undefined;
  /** Channels that have series of their own in the metrics. 0: none. */
  readonly metricsMaxChannels: number;
  readonly log: LogConfig;
  readonly pidFile: string | undefined;
  /** What was asked for and has no effect, one sentence each, for the log. */
  readonly warnings: readonly string[];
}

/** The group of brokers on one store that this one belongs to. */
export interface GroupConfig {
  readonly name: string;
  /** How long an active may be silent before it is replaced. */
  readonly leaseMs: number;
}

/** Files in PEM. */
export interface HttpTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What whoever asks over HTTP has to show: one of those that are set. */
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

/** How to connect to NATS: to the servers to attach to, or to the one that is started. */
export interface NatsConfig {
  /** `nats://host:port` or `tls://host:port`, without user and password. Empty if a nats-server is started. */
  readonly servers: readonly string[];
  /** The first that can be reached is taken. Otherwise any. */
  readonly inOrder: boolean;
  readonly user: string | undefined;
  readonly pass: string | undefined;
  readonly token: string | undefined;
  readonly credsFile: string | undefined;
  readonly nkeyFile: string | undefined;
  /** Undefined: TLS only if the server asks for it. */
  readonly tls: NatsTlsConfig | undefined;
}

export interface NatsTlsConfig {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly serverName: string | undefined;
  /** Take any certificate. */
  readonly skipVerify: boolean;
}

/** A nats-server that is started. It takes user, password and token of `NatsConfig` for its own. */
export interface NatsServerConfig {
  readonly binary: string;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Where routes of other nats-servers come in. */
  readonly clusterUrl: string | undefined;
  readonly clusterName: string | undefined;
  readonly routes: readonly string[];
  readonly configFile: string | undefined;
  /** More of its flags, as `--tlscert=PATH`. */
  readonly flags: readonly string[];
}

export interface LogConfig {
  readonly level: LogLevel;
  /** Undefined: pretty on a terminal, else JSON. */
  readonly format: LogFormat | undefined;
  /** Undefined: standard output. */
  readonly file: string | undefined;
  readonly withTime: boolean;
}

/** The limits of a channel. Fast, and keeps nothing: fit for a million names. */
export function limitsFor(
  config: Pick<ServeConfig, 'channelLimits'>,
  channelName: string,
): Readonly<ChannelLimits> {
  return config.channelLimits.for(channelName);
}
