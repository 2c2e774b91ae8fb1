import { isCount, isLine, isListOf, isObject, isText, isWithin } from '../../util/fields.js';
import { isTakeoverTimeline, type KnownTakeover } from '../talk/takeover-timeline.js';
import type { DisputeStatus, RivalStatus } from '../watch/dispute-status.js';
import type { MemberStatus } from './member-status.js';
import type { PeerStatus } from './peer-status.js';

// Any connection to NATS may answer a request for the status. An answer counts only if each field has the type and range that its readers expect.

const MAX_NAME_LENGTH = 256;
const MAX_PATH_LENGTH = 4_096;
const MAX_TEXT_LENGTH = 4_000;
const MAX_WARNINGS = 100;
const MAX_LISTED = 64;
const MAX_DURATION_MS = 1e13;
/** Later times are no dates. */
const MAX_DATE_MS = 8.64e15;

/** @returns undefined if it is no status of a member */
export function memberStatusOf(value: unknown): MemberStatus | undefined {
  if (!isObject(value)) return undefined;
  const { version, clusterId, group, node, member, host, natsServer, role, store } = value;
  const { pid, epoch, clients, channels, messages, takeovers } = value;
  const { roleForMs, leaseMs, leaseAgeMs, lastTakeover, trouble, warnings, dispute, needsProof } = value;
  // Older members do not send these.
  const { takeoverHistory = [], peers = [] } = value;
  const isWhole =
    [version, clusterId, group, node, member, host, natsServer, role].every(isName) &&
    isStore(store) &&
    [pid, epoch, clients, channels, messages, takeovers].every(isCount) &&
    [roleForMs, leaseMs].every(isDuration) &&
    isOr(leaseAgeMs, isDuration) &&
    isOr(lastTakeover, isTakeoverTimeline) &&
    isOr(trouble, isSentence) &&
    (warnings === undefined || isListOf(warnings, MAX_WARNINGS, isSentence)) &&
    (dispute === undefined || isOr(dispute, isDispute)) &&
    (needsProof === undefined || typeof needsProof === 'boolean') &&
    isListOf(takeoverHistory, MAX_LISTED, isTakeover) &&
    isListOf(peers, MAX_LISTED, isPeer);
  return isWhole ? ({ ...value, takeoverHistory, peers } as unknown as MemberStatus) : undefined;
}

function isOr<T>(value: unknown, isIt: (value: unknown) => value is T): boolean {
  return value === null || isIt(value);
}

function isName(value: unknown): value is string {
  return isLine(value, MAX_NAME_LENGTH);
}

function isSentence(value: unknown): value is string {
  return isText(value, MAX_TEXT_LENGTH);
}

function isDuration(value: unknown): value is number {
  return isWithin(value, 0, MAX_DURATION_MS);
}

function isDate(value: unknown): value is number {
  return isWithin(value, -MAX_DATE_MS, MAX_DATE_MS);
}

function isStore(value: unknown): value is MemberStatus['store'] {
  return isObject(value) && isName(value.kind) && isLine(value.dir, MAX_PATH_LENGTH) && isName(value.storeId);
}

function isTakeover(value: unknown): value is KnownTakeover {
  if (!isObject(value)) return false;
  const { epoch, node, atWallMs, story } = value;
  return isCount(epoch) && isName(node) && isDate(atWallMs) && isOr(story, isTakeoverTimeline);
}

function isPeer(value: unknown): value is PeerStatus {
  if (!isObject(value)) return false;
  const { member, node, host, pid, role, epoch, roleForMs, natsServer, store, silentMs, isHeard } = value;
  return (
    [member, node, host, role, natsServer].every(isName) &&
    [pid, epoch].every(isCount) &&
    [roleForMs, silentMs].every(isDuration) &&
    isStore(store) &&
    typeof isHeard === 'boolean'
  );
}

function isDispute(value: unknown): value is DisputeStatus {
  if (!isObject(value)) return false;
  const { sinceWallMs, rivals, rounds, epoch, waitMs } = value;
  return (
    isDate(sinceWallMs) &&
    isListOf(rivals, MAX_LISTED, isRival) &&
    [rounds, epoch].every(isCount) &&
    isDuration(waitMs)
  );
}

function isRival(value: unknown): value is RivalStatus {
  return (
    isObject(value) &&
    [value.member, value.node].every(isName) &&
    isOr(value.host, isName) &&
    isOr(value.pid, isCount)
  );
}
