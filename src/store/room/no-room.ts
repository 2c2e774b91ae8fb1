import { errorCode } from '../../files/fs-error.js';

/** How often it is tried again whether there is room by now. */
export const SPACE_RETRY_MS = 1000;

/** What there is no room for, as people say it. */
export function noRoom(error: Error): string {
  const what: Record<string, string> = {
    ENOSPC: 'no space left on the device',
    EDQUOT: 'disk quota used up',
    EFBIG: 'file size limit reached',
  };
  return what[errorCode(error) ?? ''] ?? error.message;
}
