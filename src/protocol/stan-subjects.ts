/** The subjects to which a broker subscribes. */
export interface StanSubjects {
  /** Connect requests. */
  readonly discover: string;
  /** Client pings. */
  readonly pings: string;
  /** Messages come on `<publish>.<channel>`. */
  readonly publish: string;
  readonly subscribe: string;
  readonly subscriptionClose: string;
  readonly unsubscribe: string;
  readonly close: string;
}

export const DEFAULT_DISCOVER_PREFIX = '_STAN.discover';

export function stanSubjects(clusterId: string, discoverPrefix = DEFAULT_DISCOVER_PREFIX): StanSubjects {
  const discover = `${discoverPrefix}.${clusterId}`;
  return {
    discover,
    pings: `${discover}.pings`,
    publish: `_STAN.pub.${clusterId}`,
    subscribe: `_STAN.sub.${clusterId}`,
    subscriptionClose: `_STAN.subclose.${clusterId}`,
    unsubscribe: `_STAN.unsub.${clusterId}`,
    close: `_STAN.close.${clusterId}`,
  };
}

const CLIENT_ID = /^[a-zA-Z0-9_-]+$/;

export function isClientIdValid(clientId: string): boolean {
  return CLIENT_ID.test(clientId);
}

const DOT = 0x2e;
const SLASH = 0x2f;
const STAR = 0x2a;
const GREATER = 0x3e;

/**
 * Whether `buffer[start, end)` names a channel: not empty, no empty token between dots, no `/`, no wildcard anywhere.
 * Everything else is allowed, as in the Go server: spaces, control characters, bytes that are not UTF-8.
 */
export function isChannelNameValid(buffer: Uint8Array, start: number, end: number): boolean {
  let previous = DOT;
  for (let pos = start; pos < end; pos++) {
    const byte = buffer[pos];
    // All characters with a meaning are at or below '>'.
    if (byte <= GREATER) {
      if (byte === DOT && previous === DOT) return false;
      if (byte === SLASH || byte === STAR || byte === GREATER) return false;
    }
    previous = byte;
  }
  return previous !== DOT;
}

/** Whether a string names a channel: see `isChannelNameValid`. */
export function isChannelNameStringValid(name: string): boolean {
  const bytes = Buffer.from(name);
  return isChannelNameValid(bytes, 0, bytes.length);
}
