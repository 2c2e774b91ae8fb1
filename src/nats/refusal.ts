// Refusals: what a NATS server does not permit, parsed from its `-ERR`, and the permission that the broker lacks.

/** The kinds of refusals. The list lets the metrics start each kind at 0. */
export const REFUSED_OPERATIONS = ['subscribe', 'publish', 'subscription limit', 'other'] as const;

/** A refusal of a NATS server that keeps the connection. */
export interface NatsRefusal {
  readonly connection: 'control' | 'data link';
  readonly operation: (typeof REFUSED_OPERATIONS)[number];
  /** The subject in the server's text; undefined if it has none. */
  readonly subject: string | undefined;
  /** The server's text. */
  readonly text: string;
}

/** A subject in Go's quotes, which escape `"` and `\` by a `\`. */
const QUOTED = '"((?:[^"\\\\]|\\\\.)*)"';
const SUBSCRIPTION = new RegExp(`^Permissions Violation for Subscription to ${QUOTED}(.*)`, 'is');
/** The server refuses `Publish with Reply of` for a reply subject that it reserves. */
const PUBLISH = new RegExp(`^Permissions Violation for Publish (?:to|with Reply of) ${QUOTED}`, 'is');
const TOO_MANY_TOKENS = /^, too many tokens/i;
const SUBSCRIPTION_LIMIT = /^maximum subscriptions exceeded/i;

/** The texts with which a server ends a connection. */
const LAST_WORDS =
  /^(authorization violation|authentication timeout|maximum (payload|connections|account)|slow consumer|stale connection|secure connection|unknown protocol|failed account|server shutdown|credentials have been revoked)|(expired|revoked)$/i;

/** Whether the server ends the connection with this `-ERR`. */
export function endsConnection(text: string): boolean {
  return LAST_WORDS.test(text.trim());
}

/**
 * Parses a refusal.
 *
 * @param text the text of an `-ERR` of nats-server (2.9 to 2.15), without its quotes
 * @example Permissions Violation for Subscription to "a.>" using queue "q" (sid "7")
 */
export function parseRefusal(connection: NatsRefusal['connection'], text: string): NatsRefusal {
  const [, subscribed, rest = ''] = SUBSCRIPTION.exec(text) ?? [];
  if (subscribed !== undefined) {
    // No permission helps here: the server limits the tokens of a subject.
    const operation = TOO_MANY_TOKENS.test(rest) ? 'other' : 'subscribe';
    return { connection, operation, subject: unquoted(subscribed), text };
  }
  const [, published] = PUBLISH.exec(text) ?? [];
  if (published !== undefined)
    return { connection, operation: 'publish', subject: unquoted(published), text };
  const operation = SUBSCRIPTION_LIMIT.test(text) ? 'subscription limit' : 'other';
  return { connection, operation, subject: undefined, text };
}

/** The change that the owner of the NATS servers has to make, in words; undefined if the refusal does not show it. */
export function remedyOf(refusal: NatsRefusal): string | undefined {
  const { operation, subject } = refusal;
  if (operation === 'subscription limit')
    return 'the limit on subscriptions of its account, user or server must be higher';
  if (subject === undefined || operation === 'other') return undefined;
  if (operation === 'publish') return 'its user needs the permission publish ">"';
  return `its user needs the permission subscribe "${permittingSubject(subject)}"`;
}

/** The permission for a subject. The broker's subscriptions are in a few families, each with one permission. */
function permittingSubject(subject: string): string {
  const [family] = /^(?:_STAN|_INBOX|_STANCHION\.group)\./.exec(subject) ?? [];
  return family === undefined ? subject : `${family}>`;
}

function unquoted(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    // Go has escapes that JSON does not have.
    return text;
  }
}
