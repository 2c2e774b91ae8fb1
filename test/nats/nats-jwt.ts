import { createHash } from 'node:crypto';
import type { nkeys } from 'nats';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const base64url = (bytes: string | Uint8Array) => Buffer.from(bytes as string).toString('base64url');

/** A JWT as nats-server takes it in operator mode. */
function jwt(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats,
  };
  const jti = createHash('sha512-256').update(JSON.stringify(claims)).digest('hex');
  const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const body = `${header}.${base64url(JSON.stringify({ ...claims, jti }))}`;
  return `${body}.${base64url(issuer.sign(new TextEncoder().encode(body)))}`;
}

export function operatorJwt(operator: KeyPair): string {
  return jwt(operator, operator, 'operator', { type: 'operator', version: 2 });
}

export function accountJwt(operator: KeyPair, account: KeyPair): string {
  const unlimited = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  };
  return jwt(operator, account, 'account', { type: 'account', version: 2, limits: unlimited });
}

export function userJwt(account: KeyPair, user: KeyPair): string {
  return jwt(account, user, 'user', {
    type: 'user',
    version: 2,
    subs: -1,
    data: -1,
    payload: -1,
    pub: {},
    sub: {},
  });
}
