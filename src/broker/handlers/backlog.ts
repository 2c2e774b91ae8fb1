import type { Store } from '../../store/types/store.js';
import type { BrokerOptions } from './broker-options.js';
import { WaitingMessages } from './waiting-messages.js';

/** What the backlog is of. */
export interface BacklogNeeds {
  readonly options: Pick<BrokerOptions, 'maxPendingBytes'>;
  readonly store: Pick<Store, 'pendingBytes'>;
}

/** What has been taken in and is not done: messages that wait until there is room for them, and bytes that wait for the disk. */
export class Backlog {
  readonly messages = new WaitingMessages();
  readonly #needs: BacklogNeeds;

  constructor(needs: BacklogNeeds) {
    this.#needs = needs;
  }

  get bytes(): number {
    return this.messages.bytes + this.#needs.store.pendingBytes;
  }

  /** Publishers get an error. */
  get isFull(): boolean {
    return this.bytes > this.#needs.options.maxPendingBytes;
  }

  /** Nothing more waits: requests get no answer. */
  get isOverflowing(): boolean {
    return this.bytes > this.#needs.options.maxPendingBytes * 2;
  }
}
