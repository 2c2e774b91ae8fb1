import { LinkRefusedError } from '../link/link-options.js';

/** Why one server could not be used. */
export interface Failure {
  readonly server: string;
  readonly error: Error;
}

/** No server could be used. The message has the reason of each. */
export class RoundError extends Error {
  override name = 'RoundError';
  /** Whether every server could be reached, and refused the login. */
  readonly isRefused: boolean;

  constructor(failures: readonly Failure[]) {
    const reasons = new Map<string, string[]>();
    for (const { server, error } of failures) {
      const servers = reasons.get(error.message) ?? [];
      servers.push(server);
      reasons.set(error.message, servers);
    }
    const isOne = reasons.size === 1;
    super([...reasons].map(([reason, at]) => (isOne ? reason : `${at.join(', ')}: ${reason}`)).join('; '));
    this.isRefused = failures.every(({ error }) => error instanceof LinkRefusedError);
  }
}

/** The reason without the server's name, which a link's error has and a `Failure` has anyway. */
export function reasonOf(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause : error instanceof Error ? error : new Error(String(error));
}
