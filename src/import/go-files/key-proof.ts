import { isNonceOf, MessageKey, mayBeEncrypted } from '../go-state/message-key.js';
import { HOW_TO_GIVE_THE_KEY } from '../go-state/message-opener.js';
import { SourceError } from '../types/source-error.js';
import type { ChannelMessages } from './channel-messages.js';
import { MessageWalk } from './message-walk.js';
import { FILE_HEADER_BYTES } from './record-reader.js';
import { type OpenSlice, type ReadSettings, type Slice, withSlice } from './slice.js';

/** Messages that are looked at in each slice: enough that one of them is not empty, as a rule. */
const MAX_LOOKED_AT = 32;

/**
 * Finds the first messages of each slice that are surely encrypted, and opens them: a missing or wrong key is found before anything is
 * written. A message elsewhere can still show it later.
 *
 * @throws SourceError 'key'
 */
export async function proveKey(
  { slices, firstSlice, firstOffset }: ChannelMessages,
  channel: string,
  key: Buffer | undefined,
  settings: ReadSettings,
): Promise<void> {
  const messageKey = key === undefined ? undefined : new MessageKey(key, channel);
  for (let i = firstSlice; i < slices.length; i++) {
    const from = i === firstSlice ? firstOffset : undefined;
    await withSlice(slices[i], settings, (open) =>
      proveInSlice(slices[i], open, from, channel, messageKey, settings),
    );
    settings.pool.release();
  }
}

async function proveInSlice(
  { path }: Slice,
  open: OpenSlice,
  from: number | undefined,
  channel: string,
  key: MessageKey | undefined,
  settings: ReadSettings,
): Promise<void> {
  const { reader } = open;
  const walk = new MessageWalk({ ...open, ...settings }, from ?? FILE_HEADER_BYTES);
  for (let looked = 0; looked < MAX_LOOKED_AT; ) {
    const step = walk.next();
    if (step === 'end') return;
    if (step === 'wait') {
      await walk.resolve();
      settings.pool.release(reader.buffer);
      continue;
    }
    looked++;
    const { dataStart, dataEnd, sequence } = walk.message;
    if (!mayBeEncrypted(reader.buffer, dataStart, dataEnd) || !isNonceOf(reader.buffer, dataStart, sequence))
      continue;
    if (key?.decrypt(reader.buffer, dataStart, dataEnd) !== undefined) return;
    const what = key === undefined ? 'is encrypted' : 'is encrypted with another key';
    throw new SourceError(
      'key',
      `${path} at byte ${reader.offset}: message ${sequence} of channel ${channel} ${what}: ${HOW_TO_GIVE_THE_KEY}`,
    );
  }
}
