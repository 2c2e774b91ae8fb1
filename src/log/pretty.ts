import pretty from 'pino-pretty';
import type { LogOutput } from './output.js';

/** Formats pino's JSON lines for people. */
export function prettyDestination(output: LogOutput, withColor: boolean): LogOutput {
  const format = pretty.prettyFactory({
    colorize: withColor,
    singleLine: true,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
  return { write: (line) => output.write(format(line)) };
}
