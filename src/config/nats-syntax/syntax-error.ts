import { ConfigError } from '../config-error.js';
import type { Place } from './node.js';

/** A file is not in the configuration syntax of the NATS servers. */
export class NatsSyntaxError extends ConfigError {
  constructor(place: Place, what: string) {
    super(`config file ${place.file}, line ${place.line}, column ${place.column}: ${what}`);
  }
}
