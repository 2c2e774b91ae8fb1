import type { ServerResponse } from 'node:http';
import type { Health, MonitoredNode } from '../monitor/monitored-node.js';
import { sendJson } from './answer.js';

/** Answers 200 if the node does its part, or is about to. */
export function healthz(node: MonitoredNode, response: ServerResponse): void {
  const { health } = node;
  answer(node, health, health.isHealthy, response);
}

/** Answers 200 if the node does its part now. */
export function readyz(node: MonitoredNode, response: ServerResponse): void {
  const { health } = node;
  answer(node, health, health.isReady, response);
}

function answer(node: MonitoredNode, health: Health, isGood: boolean, response: ServerResponse): void {
  const { nats, broker } = node;
  sendJson(response, isGood ? 200 : 503, {
    status: statusOf(health, isGood),
    reasons: health.reasons,
    node: node.name,
    cluster_id: node.clusterId,
    state: node.state,
    nats: {
      connected: nats.isConnected,
      server: nats.server,
      since: new Date(nats.sinceMs).toISOString(),
    },
    store: { type: node.storeKind.toUpperCase(), full: broker?.store.fullReason !== undefined },
  });
}

function statusOf(health: Health, isGood: boolean): string {
  if (!isGood) return 'unavailable';
  return health.reasons.length === 0 ? 'ok' : 'impaired';
}
