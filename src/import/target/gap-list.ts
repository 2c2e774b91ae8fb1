/** Sequences that have no message. */
export interface Gap {
  channel: string;
  first: number;
  last: number;
}

const MAX_GAPS = 100;

/** The gaps of all channels: how many sequences, how many stretches of them, and the first hundred. */
export class GapList {
  readonly report: { missing: number; gapCount: number; gaps: Gap[] } = { missing: 0, gapCount: 0, gaps: [] };

  add(channel: string, first: number, last: number): void {
    const { report } = this;
    report.missing += last - first + 1;
    report.gapCount++;
    if (report.gaps.length < MAX_GAPS) report.gaps.push({ channel, first, last });
  }
}
