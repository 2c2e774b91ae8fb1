import { isTakeoverTimeline, type TakeoverTimeline } from './takeover-timeline.js';

/** What a member is doing. */
export const MEMBER_ROLES = ['starting', 'standby', 'recovering', 'active', 'stopping'] as const;

export type MemberRole = (typeof MEMBER_ROLES)[number];

/** What members tell each other, all on one subject, many times a second: small, and of no use when it is old. */
export interface Heartbeat {
  readonly kind: 'heartbeat';
  /** Of the process: unique for ever, as the lease's holder names it. */
  readonly member: string;
  readonly node: string;
  readonly role: MemberRole;
  /** Of its term, while it has one; else the newest that it has seen. */
  readonly epoch: number;
  /** Of its term, while it is active: how often it has been renewed. A member that sees less, sees another store, or an old one. */
  readonly counter?: number | undefined;
  /** How long it has had this role, milliseconds. */
  readonly forMs: number;
  /** Identity of the store that it sees; '' while there is none. */
  readonly storeId: string;
  /** Where it sees it, for people. */
  readonly storeDir: string;
  /** `host:port` of its NATS server. */
  readonly server: string;
  /** Why clients could not be served through this member; undefined if they can, or if its version does not say. */
  readonly cannotServe?: string | undefined;
  /** What it believes the time to be, milliseconds since 1970. Not told by 0.1.0. */
  readonly wallMs?: number | undefined;
  /** The store's own time now, milliseconds since 1970, as far as it knows. Not told by 0.1.0. */
  readonly storeMs?: number | undefined;
  /** How far that is ahead of the active's clock. */
  readonly storeLeadMs?: number | undefined;
  /** How its term began, while it is active. */
  readonly story?: TakeoverTimeline | undefined;
}

/** The active is about to give the lease away: who may be next should listen to publishers from now on. */
export interface HandoverOffer {
  readonly kind: 'offer';
  readonly member: string;
  readonly epoch: number;
}

/** The sender listens to publishers already, and keeps what they say. */
export interface HandoverReady {
  readonly kind: 'ready';
  readonly member: string;
  readonly epoch: number;
}

/** The lease is free: no need to wait for a look at the store. */
export interface Released {
  readonly kind: 'released';
  readonly member: string;
  readonly epoch: number;
}

/** The sender leaves the group, and is not to be counted as missing. */
export interface Leaving {
  readonly kind: 'leaving';
  readonly member: string;
}

export type GroupMessage = Heartbeat | HandoverOffer | HandoverReady | Released | Leaving;

const KINDS = new Set(['heartbeat', 'offer', 'ready', 'released', 'leaving']);

export function encodeGroupMessage(message: GroupMessage): Uint8Array {
  return Buffer.from(JSON.stringify(message));
}

/** @returns undefined if it is none, or of a kind that this version does not know */
export function decodeGroupMessage(payload: Uint8Array): GroupMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, member, epoch } = value as Record<string, unknown>;
  if (typeof kind !== 'string' || !KINDS.has(kind) || typeof member !== 'string') return undefined;
  if (kind !== 'leaving' && typeof epoch !== 'number') return undefined;
  if (kind === 'heartbeat') {
    const { node, role, forMs, storeId, storeDir, server, counter, cannotServe, story } = value as Record<
      string,
      unknown
    >;
    const { wallMs, storeMs, storeLeadMs } = value as Record<string, unknown>;
    if (
      ![node, role, storeId, storeDir, server].every((field) => typeof field === 'string') ||
      typeof forMs !== 'number' ||
      !['undefined', 'number'].includes(typeof counter) ||
      !['undefined', 'string'].includes(typeof cannotServe) ||
      !(isTime(wallMs) && isTime(storeMs) && isTime(storeLeadMs))
    )
      return undefined;
    // Another version's may differ: the heartbeat counts all the same.
    if (story !== undefined && !isTakeoverTimeline(story))
      return { ...(value as Heartbeat), story: undefined };
  }
  return value as GroupMessage;
}

/** The store counts nanoseconds in 64 bits. */
const LAST_TIME_MS = 2 ** 63 / 1e6;

/** None at all will do: 0.1.0 tells none. */
function isTime(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && Math.abs(value) < LAST_TIME_MS);
}
