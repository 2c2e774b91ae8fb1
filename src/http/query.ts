import type { MonitoredNode } from '../monitor/monitored-node.js';

/** The default of `limit`, as in the Go server. */
const DEFAULT_LIMIT = 1024;

/** The part of a list that a request is for. */
export interface Page {
  readonly offset: number;
  readonly limit: number;
}

/** Reads `offset` and `limit`. A value that is no number counts as absent, as in the Go server. */
export function pageOf(query: URLSearchParams): Page {
  const offset = Math.max(0, wholeNumber(query.get('offset')));
  const limit = wholeNumber(query.get('limit'));
  return { offset, limit: limit > 0 ? limit : DEFAULT_LIMIT };
}

/** The fields in front of a list, in the names of the Go server. @param total how many elements the whole list has */
export function listHead(
  node: Pick<MonitoredNode, 'clusterId' | 'serverId'>,
  { offset, limit }: Page,
  count: number,
  total: number,
): object {
  const { clusterId, serverId } = node;
  return {
    cluster_id: clusterId,
    server_id: serverId,
    now: new Date().toISOString(),
    ...{ offset, limit, count, total },
  };
}

/** Whether the request wants subscriptions. */
export function wantsSubscriptions(query: URLSearchParams): boolean {
  return wholeNumber(query.get('subs')) === 1;
}

export function cut<T>(list: readonly T[], { offset, limit }: Page): readonly T[] {
  return list.slice(offset, Math.min(list.length, offset + limit));
}

/** Parses a whole number; 0 if the text is none. */
function wholeNumber(text: string | null): number {
  if (text === null || !/^[+-]?\d+$/.test(text)) return 0;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)));
}
