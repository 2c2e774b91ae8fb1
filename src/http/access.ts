import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpAccess } from '../config/serve-config.js';

/** Asks for a secret: a user with a password, or a token; one of both where both are set. */
export class AccessGuard {
  /** What WWW-Authenticate says to whoever has shown none. */
  readonly challenges: readonly string[];
  readonly #digests: readonly Buffer[];

  constructor({ basic, token }: HttpAccess) {
    const accepted: string[] = [];
    const challenges: string[] = [];
    if (basic !== undefined) {
      const userAndPass = Buffer.from(`${basic.user}:${basic.pass}`);
      accepted.push(`basic ${userAndPass.toString('base64')}`);
      challenges.push('Basic realm="stanchion", charset="UTF-8"');
    }
    if (token !== undefined) {
      accepted.push(`bearer ${token}`);
      challenges.push('Bearer realm="stanchion"');
    }
    this.#digests = accepted.map(digestOf);
    this.challenges = challenges;
  }

  /** @param authorization that header of a request. The time this takes says nothing of the secret */
  admits(authorization: string | undefined): boolean {
    if (authorization === undefined) return false;
    const [, scheme, credentials] = /^([A-Za-z]+) +(.*)$/.exec(authorization) ?? [];
    if (scheme === undefined) return false;
    // Digests have one length, whatever was sent.
    const digest = digestOf(`${scheme.toLowerCase()} ${credentials}`);
    let isAdmitted = false;
    for (const each of this.#digests) isAdmitted = timingSafeEqual(each, digest) || isAdmitted;
    return isAdmitted;
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
