import { printableLines } from '../util/printable.js';
import type { SignalLog } from './signals.js';

/** The log of a tool: warnings alone, on standard error, since standard output is for the tool's results. Loading the broker's would take longer than most tools run. */
export function toolLogger(): SignalLog {
  return {
    info: () => {},
    warn: (_fields, message) => void process.stderr.write(`stanchion: ${printableLines(message)}\n`),
  };
}
