import type { Logger } from '../../log/logger.js';
import { channelCaseClash, STAN_ERROR } from '../../protocol/error-texts.js';
import { isChannelNameValid } from '../../protocol/stan-subjects.js';
import type { Store } from '../../store/types/store.js';
import { Channel } from '../state/channel.js';
import type { Channels } from '../state/channels.js';
import type { BrokerOptions } from './broker-options.js';
import type { Inactivity } from './inactivity.js';
import { MAX_NAME_BYTES } from './names.js';

/** What the opening of channels needs. */
export interface OpenChannelNeeds {
  readonly options: Pick<BrokerOptions, 'maxChannels' | 'limitsFor'>;
  readonly channels: Pick<Channels, 'find' | 'findInAnyCase' | 'size' | 'add'>;
  readonly inactivity: Pick<Inactivity, 'watch'>;
  readonly store: Pick<Store, 'createLog'>;
  readonly log: Logger;
}

/** Makes a channel when a client first names it. */
export class ChannelOpener {
  readonly #needs: OpenChannelNeeds;

  constructor(needs: OpenChannelNeeds) {
    this.#needs = needs;
  }

  /**
   * The channel of that name, created if it is new.
   * @returns the error text for the client if that cannot be
   */
  open(buffer: Buffer, start: number, end: number): Channel | string {
    const { options, channels, inactivity, store, log } = this.#needs;
    const existing = channels.find(buffer, start, end);
    if (existing !== undefined) return existing;
    if (end - start > MAX_NAME_BYTES || !isChannelNameValid(buffer, start, end))
      return STAN_ERROR.invalidSubject;
    const name = buffer.toString('utf8', start, end);
    // Two names that are not UTF-8 could look the same in logs, in monitoring and in requests.
    if (!Buffer.from(name).equals(buffer.subarray(start, end))) return STAN_ERROR.invalidSubject;
    const clash = channels.findInAnyCase(name);
    if (clash !== undefined) return channelCaseClash(name, clash.name);
    const { maxChannels } = options;
    if (maxChannels > 0 && channels.size >= maxChannels) return STAN_ERROR.tooManyChannels;
    const limits = options.limitsFor(name);
    const channel = new Channel(store.createLog(name, limits), limits);
    channels.add(channel);
    inactivity.watch(channel);
    log.debug({ channel: name }, 'channel created');
    return channel;
  }
}
