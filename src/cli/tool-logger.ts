import { createLogger, type RootLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';

const STDERR = 2;

/** The logger of a tool: warnings for people, on standard error, since standard output is for the tool's results. */
export function toolLogger(): RootLogger {
  return createLogger({ level: 'warn', format: 'pretty', output: descriptorOutput(STDERR) });
}
