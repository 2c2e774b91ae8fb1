import type { Figures, Line } from '../lines/line.js';
import type { Side } from '../sides.js';
import type { Bench, Place } from './bench.js';
import { measureClient } from './client.js';
import { measureLarge } from './large.js';
import { measureLoad } from './load.js';
import { measureOutage } from './outage.js';
import { measureReplay } from './replay.js';
import { measureRest } from './rest.js';
import { measureStart } from './start.js';

/** One side in one round: from the start of its process to its end. */
export function measure(line: Line, side: Side, bench: Bench, place: Place): Promise<Figures> {
  switch (line.kind) {
    case 'load':
      return measureLoad(line, side, bench, place);
    case 'replay':
      return measureReplay(line, side, bench, place);
    case 'large':
      return measureLarge(line, side, bench, place);
    case 'start':
      return measureStart(line, side, bench, place);
    case 'outage':
      return measureOutage(line, side, bench, place);
    case 'rest':
      return measureRest(line, side, bench, place);
    case 'client':
      return measureClient(line, side, bench, place);
  }
}
