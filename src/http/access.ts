import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpAccess } from '../config/serve-config.js';

/** Checks the credentials of requests: a user with a password, or a token. If both are set, a request needs one of them. */
export class AccessGuard {
  /** The values of WWW-Authenticate in the answer 401. */
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

  /** @param authorization the Authorization header of a request. The time that the check takes does not depend on the secret */
  admits(authorization: string | undefined): boolean {
    if (authorization === undefined) return false;
    const [, scheme, credentials] = /^([A-Za-z]+) +(.*)$/.exec(authorization) ?? [];
    if (scheme === undefined) return false;
    // Digests have the same length, as timingSafeEqual requires.
    const digest = digestOf(`${scheme.toLowerCase()} ${credentials}`);
    let isAdmitted = false;
    for (const each of this.#digests) isAdmitted = timingSafeEqual(each, digest) || isAdmitted;
    return isAdmitted;
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
