import { isNonceOf, MessageKey, mayBeEncrypted } from '../go-state/message-key.js';
import { HOW_TO_GIVE_THE_KEY } from '../go-state/message-opener.js';
import { StoredMessage } from '../go-wire/stored-message.js';
import { SourceError } from '../types/source-error.js';
import type { ChannelRow, SqlTables } from './sql-tables.js';

/** Messages that are looked at: enough that one of them is not empty, as a rule. */
const MAX_LOOKED_AT = 32;

/**
 * Opens the first message of a channel that is surely encrypted, so that a missing or wrong key is found before anything is written.
 *
 * @param first sequence of the channel's oldest message
 * @param name of the database, for messages
 * @throws SourceError 'key'
 */
export async function proveKey(
  tables: SqlTables,
  channel: ChannelRow,
  first: number,
  key: Buffer | undefined,
  name: string,
): Promise<void> {
  const messageKey = key === undefined ? undefined : new MessageKey(key, channel.name);
  const message = new StoredMessage();
  for (const { sequence } of await tables.from(channel.id, first, MAX_LOOKED_AT)) {
    // One by one: they may be large.
    for (const { proto } of await tables.messages(channel.id, sequence, sequence)) {
      if (!message.decode(proto, 0, proto.length)) continue;
      const { dataStart, dataEnd } = message;
      if (!mayBeEncrypted(proto, dataStart, dataEnd) || !isNonceOf(proto, dataStart, sequence)) continue;
      if (messageKey?.decrypt(proto, dataStart, dataEnd) !== undefined) return;
      const what = messageKey === undefined ? 'is encrypted' : 'is encrypted with another key';
      throw new SourceError(
        'key',
        `${name}: message ${sequence} of channel ${channel.name} ${what}: ${HOW_TO_GIVE_THE_KEY}`,
      );
    }
  }
}
