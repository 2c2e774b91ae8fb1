// Secrets of this process, and how every text that leaves it is cleared of them: the log, the errors, the title of the process.

/** What stands in place of a secret. */
export const HIDDEN = '***';

/** A shorter one could be part of any word. Those in URLs are hidden all the same. */
const MIN_LENGTH = 6;
/** A reload of the configuration may bring new ones, again and again. */
const MAX_SECRETS = 64;
/** User, password or token of a URL: up to the last `@` before a blank, a quote, or the next URL of a list. */
const IN_URL = /([a-z][a-z0-9+.-]{0,20}:\/\/)(?:(?!,[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s"'<>]){1,1024}@/gi;
const NKEY_SEED = /\bS[ACNOUX][A-Z2-7]{56}\b/g;
const JWT = /\beyJ[\w-]{16,}(?:\.[\w-]*){1,2}/g;
/** The lines may be joined by newlines, or by their escapes in JSON. */
const PRIVATE_KEY = /(-----BEGIN [A-Z ]{0,40}(?:PRIVATE KEY|NKEY SEED)-----)[^-]*/g;

/** Each text that is hidden: the secrets, and how they look in JSON and in a URL. The newest ones are last. */
const secrets = new Map<string, readonly string[]>();
/** All of them, the longest first: one may be a part of another. */
let forms: readonly string[] = [];

/** Hides a value in every text from now on. */
export function addSecret(secret: string | undefined): void {
  if (secret === undefined || secret.length < MIN_LENGTH) return;
  secrets.delete(secret);
  secrets.set(secret, [...new Set([secret, JSON.stringify(secret).slice(1, -1), percentEncoded(secret)])]);
  const [oldest] = secrets.keys();
  if (secrets.size > MAX_SECRETS && oldest !== undefined) secrets.delete(oldest);
  forms = [...secrets.values()].flat().sort((a, b) => b.length - a.length);
}

/** The text without the secrets of this process, and without anything that looks like one: credentials in URLs, seeds, keys, JWTs. */
export function withoutSecrets(text: string): string {
  let shown = withoutUrlSecrets(text);
  for (const form of forms) if (shown.includes(form)) shown = shown.replaceAll(form, HIDDEN);
  return shown.replace(PRIVATE_KEY, `$1${HIDDEN}`).replace(NKEY_SEED, HIDDEN).replace(JWT, HIDDEN);
}

/** The text with `***` for user, password and token of its URLs. */
export function withoutUrlSecrets(text: string): string {
  return text.includes('@') ? text.replace(IN_URL, `$1${HIDDEN}@`) : text;
}

function percentEncoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    // It has half of a surrogate pair, which cannot be encoded.
    return text;
  }
}
