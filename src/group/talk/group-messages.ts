import { type Fields, isCount, isLine, isObject, isText, isWithin } from '../../util/fields.js';
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

/** Limit of a message, in bytes. It is checked before anything is read. */
export const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_NAME_LENGTH = 256;
const MAX_PATH_LENGTH = 4_096;
/** Limit of the text of a problem. */
export const MAX_PROBLEM_LENGTH = 500;
/** The store counts nanoseconds in 64 bits. */
const LAST_TIME_MS = 2 ** 63 / 1e6;

/** @param more fields that are no part of the message itself */
export function encodeGroupMessage(message: GroupMessage, more: object = {}): Uint8Array {
  return Buffer.from(JSON.stringify({ ...message, ...more }));
}

/** @returns undefined if it is no message of a group, or of a kind that this version does not know. Other fields are left out */
export function groupMessageOf(value: unknown): GroupMessage | undefined {
  if (!isObject(value) || !isName(value.member) || value.member === '') return undefined;
  const { kind, member, epoch } = value;
  if (kind === 'leaving') return { kind, member };
  if (!isCount(epoch)) return undefined;
  switch (kind) {
    case 'offer':
    case 'ready':
    case 'released':
      return { kind, member, epoch };
    case 'heartbeat':
      return heartbeatOf(value, member, epoch);
    default:
      return undefined;
  }
}

/** @returns undefined if the bytes are no message of a group, or too many */
export function decodeGroupMessage(payload: Uint8Array): GroupMessage | undefined {
  return payload.length > MAX_MESSAGE_BYTES ? undefined : groupMessageOf(parseJson(payload));
}

/** @returns undefined if it is not JSON */
export function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
  } catch {
    return undefined;
  }
}

function heartbeatOf(value: Fields, member: string, epoch: number): Heartbeat | undefined {
  const { node, role, forMs, storeId, storeDir, server, counter, cannotServe, story } = value;
  const { wallMs, storeMs, storeLeadMs } = value;
  if (!isName(node) || !isName(storeId) || !isName(server)) return undefined;
  // Another version may have a role that this one does not know.
  if (!isName(role) || !isLine(storeDir, MAX_PATH_LENGTH)) return undefined;
  if (!isWithin(forMs, 0, LAST_TIME_MS)) return undefined;
  if (!(counter === undefined || isCount(counter))) return undefined;
  if (!(cannotServe === undefined || isText(cannotServe, MAX_PROBLEM_LENGTH))) return undefined;
  if (!isTime(wallMs) || !isTime(storeMs) || !isTime(storeLeadMs)) return undefined;
  return {
    kind: 'heartbeat',
    ...{ member, node, epoch, forMs, storeId, storeDir, server },
    role: role as MemberRole,
    ...(counter !== undefined && { counter }),
    ...(cannotServe !== undefined && { cannotServe }),
    ...(wallMs !== undefined && { wallMs }),
    ...(storeMs !== undefined && { storeMs }),
    ...(storeLeadMs !== undefined && { storeLeadMs }),
    // The timeline of another version may differ: the heartbeat counts all the same.
    ...(isTakeoverTimeline(story) && { story }),
  };
}

function isName(value: unknown): value is string {
  return isLine(value, MAX_NAME_LENGTH);
}

/** Whether the field is absent, as in version 0.1.0, or valid. */
function isTime(value: unknown): value is number | undefined {
  return value === undefined || isWithin(value, -LAST_TIME_MS, LAST_TIME_MS);
}
