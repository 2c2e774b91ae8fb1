import { isTakeoverTimeline, type TakeoverTimeline } from './takeover-timeline.js';

/** The role of a member. */
export const MEMBER_ROLES = ['starting', 'standby', 'recovering', 'active', 'stopping'] as const;

export type MemberRole = (typeof MEMBER_ROLES)[number];

/** A heartbeat: members send it to each other on one subject, many times a second. It is small, and useless when it is old. */
export interface Heartbeat {
  readonly kind: 'heartbeat';
  /** The name of the process in the lease, which is unique for ever. */
  readonly member: string;
  readonly node: string;
  readonly role: MemberRole;
  /** The epoch of its term; without one, the newest that it has seen. */
  readonly epoch: number;
  /** How often its lease has been renewed, while it is active. A member that sees fewer renewals sees another store, or an old one. */
  readonly counter?: number | undefined;
  /** How long it has had this role, in milliseconds. */
  readonly forMs: number;
  /** Identity of the store that it sees; '' while there is none. */
  readonly storeId: string;
  /** The folder of that store, for people. */
  readonly storeDir: string;
  /** `host:port` of its NATS server. */
  readonly server: string;
  /** Why clients could not be served through this member; undefined if they can, or if its version does not say. */
  readonly cannotServe?: string | undefined;
  /** The time that it believes, in milliseconds since 1970. Version 0.1.0 does not send it. */
  readonly wallMs?: number | undefined;
  /** The store's own time as far as it knows, in milliseconds since 1970. Version 0.1.0 does not send it. */
  readonly storeMs?: number | undefined;
  /** How far that is ahead of the active's clock. */
  readonly storeLeadMs?: number | undefined;
  /** The timeline of its takeover, while it is active. */
  readonly story?: TakeoverTimeline | undefined;
}

/** The active is about to hand over: standbys should subscribe to what clients publish from now on. */
export interface HandoverOffer {
  readonly kind: 'offer';
  readonly member: string;
  readonly epoch: number;
}

/** The sender has subscribed to what clients publish, and keeps it. */
export interface HandoverReady {
  readonly kind: 'ready';
  readonly member: string;
  readonly epoch: number;
}

/** The lease is free: standbys need not wait for their next look at the store. */
export interface Released {
  readonly kind: 'released';
  readonly member: string;
  readonly epoch: number;
}

/** The sender leaves the group, and does not count as missing. */
export interface Leaving {
  readonly kind: 'leaving';
  readonly member: string;
}

export type GroupMessage = Heartbeat | HandoverOffer | HandoverReady | Released | Leaving;

const KINDS = new Set(['heartbeat', 'offer', 'ready', 'released', 'leaving']);

export function encodeGroupMessage(message: GroupMessage): Uint8Array {
  return Buffer.from(JSON.stringify(message));
}

/** @returns undefined if the bytes are no message of a group, or of a kind that this version does not know */
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
    // The timeline of another version may differ: the heartbeat counts all the same.
    if (story !== undefined && !isTakeoverTimeline(story))
      return { ...(value as Heartbeat), story: undefined };
  }
  return value as GroupMessage;
}

/** The store counts nanoseconds in 64 bits. */
const LAST_TIME_MS = 2 ** 63 / 1e6;

/** Whether the field is absent, as in version 0.1.0, or valid. */
function isTime(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && Math.abs(value) < LAST_TIME_MS);
}
