/** Elements of a list when `limit` is absent. As in the Go server. */
const DEFAULT_LIMIT = 1024;

/** Which elements of a list are asked for. */
export interface Page {
  readonly offset: number;
  readonly limit: number;
}

/** @returns `offset` and `limit`; what is no number counts as absent, as in the Go server */
export function pageOf(query: URLSearchParams): Page {
  const offset = Math.max(0, wholeNumber(query.get('offset')));
  const limit = wholeNumber(query.get('limit'));
  return { offset, limit: limit > 0 ? limit : DEFAULT_LIMIT };
}

/** Whether subscriptions are asked for. */
export function wantsSubscriptions(query: URLSearchParams): boolean {
  return wholeNumber(query.get('subs')) === 1;
}

export function cut<T>(list: readonly T[], { offset, limit }: Page): readonly T[] {
  return list.slice(offset, Math.min(list.length, offset + limit));
}

/** 0 if it is none. */
function wholeNumber(text: string | null): number {
  if (text === null || !/^[+-]?\d+$/.test(text)) return 0;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)));
}
