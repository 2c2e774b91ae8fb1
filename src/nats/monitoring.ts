import type { NatsServerConfig } from '../config/serve-config.js';

/** Where the monitoring pages of the NATS server are: /varz, /connz and so on. */
export type NatsMonitoring =
  /** The server is not ours, and its pages are unknown. */
  | { readonly kind: 'attached' }
  /** Our server is starting, or restarting. */
  | { readonly kind: 'starting' }
  /** Our server has none: its configuration file turns them off, or they were not requested. */
  | { readonly kind: 'off' }
  /** @property url `http://127.0.0.1:34567`, or https */
  | { readonly kind: 'on'; readonly url: string };

/**
 * The monitoring pages of the server that a broker uses.
 *
 * @param config the server to start; undefined if the broker attaches to others
 * @param server undefined before it has been started
 */
export function monitoringOf(
  config: NatsServerConfig | undefined,
  server: { readonly monitoring: NatsMonitoring } | undefined,
): NatsMonitoring {
  if (config === undefined) return { kind: 'attached' };
  return server?.monitoring ?? { kind: 'starting' };
}

/** A line of nats-server's configuration. The flag `-m` would not do: it listens on the address for clients. */
export const MONITORING_ON_LOOPBACK = 'http: "127.0.0.1:-1"';

/** Picks the pages on the loopback. @param urls the announced URLs, one for each address of this machine */
export function monitoringAt(urls: readonly string[] = []): NatsMonitoring {
  const url = urls.find((each) => /^https?:\/\/(127\.|\[::1\])/.test(each)) ?? urls[0];
  return url === undefined ? { kind: 'off' } : { kind: 'on', url };
}
