import { InvalidOptionError } from './client-errors.js';
import type { Codec } from './codec.js';
import { checkNames, checkObject, quote } from './connect-options.js';

/** Options of one publish. */
export interface PublishOptions {
  /** A codec to use instead of that of the connection. */
  codec?: Codec<unknown>;
  /** When it aborts, the publish stops waiting for the ack. The message may be stored all the same. */
  signal?: AbortSignal;
}

const PUBLISH_NAMES: ReadonlySet<string> = new Set(['codec', 'signal'] satisfies (keyof PublishOptions)[]);

/** @throws InvalidOptionError */
export function checkPublishOptions(options: PublishOptions): PublishOptions {
  checkObject('the options of publish', options);
  checkNames('publish', options, PUBLISH_NAMES);
  const { signal } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw new InvalidOptionError(`signal ${quote(signal)} cannot be`, 'It is an AbortSignal');
  return options;
}
