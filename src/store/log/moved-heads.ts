/** A log whose oldest messages go. */
export interface HeadLog {
  readonly id: number;
  readonly firstSequence: number;
  readonly isDeleted: boolean;
  /** Whether `firstSequence` is recorded as it is. */
  isHeadRecorded: boolean;
}

/** Logs whose oldest messages have gone since that was recorded last. */
export class MovedHeads {
  #logs: HeadLog[] = [];

  get isEmpty(): boolean {
    return this.#logs.length === 0;
  }

  add(log: HeadLog): void {
    log.isHeadRecorded = false;
    this.#logs.push(log);
  }

  /** Those that are not deleted: they count as recorded from here on. */
  take(): HeadLog[] {
    const logs = this.#logs;
    this.#logs = [];
    for (const log of logs) log.isHeadRecorded = true;
    return logs.filter(({ isDeleted }) => !isDeleted);
  }
}
