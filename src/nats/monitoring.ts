import type { NatsServerConfig } from '../config/serve-config.js';

/** Where a NATS server has its monitoring pages: /varz, /connz and so on. */
export type NatsMonitoring =
  /** With a server that is not ours: we do not know. */
  | { readonly kind: 'attached' }
  /** It is ours and does not run, for the first time or again. */
  | { readonly kind: 'starting' }
  /** Its configuration file has them off, or they were not asked for. */
  | { readonly kind: 'off' }
  /** @property url `http://127.0.0.1:34567`, or https */
  | { readonly kind: 'on'; readonly url: string };

/**
 * @param config of the server to start; undefined: we attach to others
 * @param server undefined before it has been started
 */
export function monitoringOf(
  config: NatsServerConfig | undefined,
  server: { readonly monitoring: NatsMonitoring } | undefined,
): NatsMonitoring {
  if (config === undefined) return { kind: 'attached' };
  return server?.monitoring ?? { kind: 'starting' };
}

/** A line of its configuration. No flag has it: `-m` would listen on the address that clients come to. */
export const MONITORING_ON_LOOPBACK = 'http: "127.0.0.1:-1"';

/** @param urls at each address of this machine, as the server tells them */
export function monitoringAt(urls: readonly string[] = []): NatsMonitoring {
  const url = urls.find((each) => /^https?:\/\/(127\.|\[::1\])/.test(each)) ?? urls[0];
  return url === undefined ? { kind: 'off' } : { kind: 'on', url };
}
