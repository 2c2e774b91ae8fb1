import { LinkRefusedError } from '../link/link.js';

/** What one server said to a try. */
export interface Failure {
  readonly server: string;
  readonly error: Error;
}

/** No server could be used: what each said. */
export class RoundError extends Error {
  override name = 'RoundError';
  /** Not one was unreachable: all were there, and refused. */
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

/** The link names the server, which stands beside it here. */
export function reasonOf(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause : error instanceof Error ? error : new Error(String(error));
}
