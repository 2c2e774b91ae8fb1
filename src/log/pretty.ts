import pretty from 'pino-pretty';
import { printable, printableLines } from '../util/printable.js';
import type { LogOutput } from './output.js';

/** Formats pino's JSON lines for people. What came from outside cannot move the cursor, nor make a line that looks like an entry. */
export function prettyDestination(output: LogOutput, withColor: boolean): LogOutput {
  const format = pretty.prettyFactory({
    colorize: withColor,
    singleLine: true,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
  return { write: (line) => output.write(format(JSON.parse(line, printableValue))) };
}

/** The stack of an error has lines of its own. */
function printableValue(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return name === 'stack' ? printableLines(value) : printable(value);
}
