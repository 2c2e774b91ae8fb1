import { errorCode } from '../../files/fs-error.js';
import { isNoSpace, shortageOf } from '../../files/store-error.js';

/** How often it is tried again whether there is room by now. */
export const SPACE_RETRY_MS = 1000;

/** Whether nothing was done for want of room, or of a descriptor or memory: the same call may succeed later, and nothing is in doubt. */
export function canTryAgain(error: unknown): boolean {
  return isNoSpace(error) || shortageOf(error) !== undefined;
}

/** What there is no room for, as people say it. */
export function noRoom(error: Error): string {
  const what: Record<string, string> = {
    ENOSPC: 'no space left on the device',
    EDQUOT: 'disk quota used up',
    EFBIG: 'file size limit reached',
  };
  return shortageOf(error) ?? what[errorCode(error) ?? ''] ?? error.message;
}
