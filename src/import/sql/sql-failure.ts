import { SourceError } from '../types/source-error.js';

/** @param name of the database, without its password */
export function cannotConnect(name: string, error: unknown): SourceError {
  return new SourceError('connection', `Cannot connect to ${name}: ${reasonOf(error)}`, { cause: error });
}

/** @param name of the database, without its password */
export function queryFailed(name: string, error: unknown): SourceError {
  return new SourceError('connection', `${name} cannot be read: ${reasonOf(error)}`, { cause: error });
}

/** An error of several addresses has no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
}
