import { isCount, isObject, isText } from '../../util/fields.js';
import { isSealed, seal } from '../proof/seal.js';
import { parseJson } from './group-messages.js';

/** Limit of a request, in bytes. */
const MAX_BYTES = 1_024;
const MAX_MEMBER_LENGTH = 256;

/** A request to the active to hand over. It counts in one term only, and its number is counted once there: a recording does nothing. */
export interface HandoverRequest {
  /** The name of the active. */
  readonly member: string;
  /** The epoch of its term. */
  readonly epoch: number;
  /** Larger than that of any request before, such as the time in milliseconds. */
  readonly number: number;
}

/** @param key of the group; without one, only a group on a store of release 0.1.0 follows the request */
export function encodeHandoverRequest(
  key: Buffer | undefined,
  subject: string,
  request: HandoverRequest,
): Uint8Array {
  const object = JSON.stringify(request);
  return key === undefined ? Buffer.from(object) : seal(key, [subject], object);
}

/** @returns undefined if it is no request, or who asks has not proved to have the key */
export function decodeHandoverRequest(
  key: Buffer,
  subject: string,
  payload: Uint8Array,
): HandoverRequest | undefined {
  if (payload.length > MAX_BYTES || !isSealed(key, [subject], payload)) return undefined;
  const value = parseJson(payload);
  if (!isObject(value)) return undefined;
  const { member, epoch, number } = value;
  if (!isText(member, MAX_MEMBER_LENGTH) || !isCount(epoch) || !isCount(number)) return undefined;
  return { member, epoch, number };
}
