import { Ledger, type LedgerState } from '../store-fuzz/ledger.js';
import type { RecordingFs } from './recording.js';

/** What the users of a store know at one moment. */
export interface Moment {
  readonly acknowledged: LedgerState;
  /** What will be acknowledged next, and may be found already. */
  readonly proposed: LedgerState;
  /** By channel and generation, the newest message that was handed to the store. */
  readonly appended: ReadonlyMap<string, number>;
}

const EMPTY: LedgerState = { channels: new Map(), clients: new Set(), pending: new Map() };

/** A ledger that marks in a recording when something is known. */
export class Books extends Ledger {
  readonly moments: Moment[] = [{ acknowledged: EMPTY, proposed: EMPTY, appended: new Map() }];
  readonly #recording: RecordingFs;

  constructor(recording: RecordingFs) {
    super();
    this.#recording = recording;
  }

  override acknowledged(state: LedgerState): void {
    super.acknowledged(state);
    this.#note({ acknowledged: state });
  }

  override proposed(state: LedgerState): void {
    this.#note({ proposed: state });
  }

  override appended(channel: string, generation: number, sequence: number): void {
    const appended = new Map(this.#newest.appended);
    appended.set(tipOf(channel, generation), sequence);
    this.#note({ appended });
  }

  get #newest(): Moment {
    return this.moments.at(-1) ?? { acknowledged: EMPTY, proposed: EMPTY, appended: new Map() };
  }

  #note(change: Partial<Moment>): void {
    this.moments.push({ ...this.#newest, ...change });
    this.#recording.mark(this.moments.length - 1);
  }
}

export function tipOf(channel: string, generation: number): string {
  return `${channel} ${generation}`;
}
