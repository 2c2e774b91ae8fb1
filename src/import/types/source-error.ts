/** Why a source cannot be read. */
export type SourceErrorCode =
  /** There is no such thing, or it is something else. */
  | 'not-found'
  /** It is in use: the old server runs. */
  | 'in-use'
  /** What is read is not right: a bad CRC, a torn tail, a row that cannot be decoded. */
  | 'damaged'
  /** It is encrypted, and the key is missing or wrong. */
  | 'key'
  /** It has something that cannot be brought along. */
  | 'unsupported'
  /** It cannot be reached, or has refused. */
  | 'connection';

/** An import ends before it has changed anything that a broker would open. */
export class SourceError extends Error {
  constructor(
    readonly code: SourceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'SourceError';
  }
}
