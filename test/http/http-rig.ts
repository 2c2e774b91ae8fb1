import type { Broker } from '../harness/broker.js';
import { Rig, type RigOptions } from '../harness/rig.js';

/** A broker with HTTP on a free port. */
export function httpRig(options: Partial<RigOptions> = {}): Rig {
  return new Rig({ store: 'memory', ...options, flags: ['--http-port', '-1', ...(options.flags ?? [])] });
}

/** As the broker tells it when it starts. */
export function urlOf(broker: Broker): string {
  const [, url] = /"url":"(http:[^"]+)"/.exec(broker.output) ?? [];
  if (url === undefined) throw new Error(`no HTTP address in:\n${broker.output}`);
  return url;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export async function get(broker: Broker, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(urlOf(broker) + path, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export type Json = Record<string, unknown>;

export async function getJson(broker: Broker, path: string): Promise<Json> {
  const { status, headers, text } = await get(broker, path);
  if (status !== 200 || headers.get('content-type') !== 'application/json') {
    throw new Error(`${path}: ${status} ${headers.get('content-type')} ${text}`);
  }
  return JSON.parse(text) as Json;
}
