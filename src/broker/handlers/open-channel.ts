import { channelCaseClash, STAN_ERROR } from '../../protocol/error-texts.js';
import { isChannelNameValid } from '../../protocol/stan-subjects.js';
import { Channel } from '../state/channel.js';
import type { BrokerContext } from './context.js';
import { deleteIfInactive, watchInactivity } from './inactivity.js';
import { MAX_NAME_BYTES } from './names.js';

/**
 * The channel of that name, created if it is new.
 * @returns the error text for the client if that cannot be
 */
export function openChannel(
  context: BrokerContext,
  buffer: Buffer,
  start: number,
  end: number,
): Channel | string {
  const existing = context.channels.find(buffer, start, end);
  if (existing !== undefined) return existing;
  if (end - start > MAX_NAME_BYTES || !isChannelNameValid(buffer, start, end))
    return STAN_ERROR.invalidSubject;
  const name = buffer.toString('utf8', start, end);
  // A name that is not UTF-8 could not be told from another one in logs, in monitoring and in requests.
  if (!Buffer.from(name).equals(buffer.subarray(start, end))) return STAN_ERROR.invalidSubject;
  const clash = context.channels.findInAnyCase(name);
  if (clash !== undefined) return channelCaseClash(name, clash.name);
  const { maxChannels } = context.options;
  if (maxChannels > 0 && context.channels.size >= maxChannels) return STAN_ERROR.tooManyChannels;
  const limits = context.options.limitsFor(name);
  const channel = new Channel(context.store.createLog(name, limits), limits, (inactive) =>
    deleteIfInactive(context, inactive),
  );
  context.channels.add(channel);
  watchInactivity(context, channel);
  context.log.debug({ channel: name }, 'channel created');
  return channel;
}
