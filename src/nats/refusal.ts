/** What can be refused. A list, so that each is counted from 0 on. */
export const REFUSED_OPERATIONS = ['subscribe', 'publish', 'subscription limit', 'other'] as const;

/** Something that a NATS server refused to the broker while it kept the connection. */
export interface NatsRefusal {
  readonly connection: 'control' | 'data link';
  readonly operation: (typeof REFUSED_OPERATIONS)[number];
  /** As NATS names it; undefined if it names none. */
  readonly subject: string | undefined;
  /** The server's words. */
  readonly text: string;
}

/** A subject in Go's quotes, in which `"` and `\` have a `\` in front. */
const QUOTED = '"((?:[^"\\\\]|\\\\.)*)"';
const SUBSCRIPTION = new RegExp(`^Permissions Violation for Subscription to ${QUOTED}(.*)`, 'is');
/** Also `Publish with Reply of`: a reply subject that the server keeps for itself. */
const PUBLISH = new RegExp(`^Permissions Violation for Publish (?:to|with Reply of) ${QUOTED}`, 'is');
const TOO_MANY_TOKENS = /^, too many tokens/i;
const SUBSCRIPTION_LIMIT = /^maximum subscriptions exceeded/i;

/** What a server says before it ends a connection: why it is lost, and nothing that is missing on it. */
const LAST_WORDS =
  /^(authorization violation|authentication timeout|maximum (payload|connections|account)|slow consumer|stale connection|secure connection|unknown protocol|failed account|server shutdown|credentials have been revoked)|(expired|revoked)$/i;

/** Whether the connection is over with this `-ERR`. */
export function endsConnection(text: string): boolean {
  return LAST_WORDS.test(text.trim());
}

/**
 * @param text of an `-ERR` of nats-server (2.9 to 2.15), without its quotes
 * @example Permissions Violation for Subscription to "a.>" using queue "q" (sid "7")
 */
export function parseRefusal(connection: NatsRefusal['connection'], text: string): NatsRefusal {
  const [, subscribed, rest = ''] = SUBSCRIPTION.exec(text) ?? [];
  if (subscribed !== undefined) {
    // No permission helps: the server has a limit on the tokens of a subject.
    const operation = TOO_MANY_TOKENS.test(rest) ? 'other' : 'subscribe';
    return { connection, operation, subject: unquoted(subscribed), text };
  }
  const [, published] = PUBLISH.exec(text) ?? [];
  if (published !== undefined)
    return { connection, operation: 'publish', subject: unquoted(published), text };
  const operation = SUBSCRIPTION_LIMIT.test(text) ? 'subscription limit' : 'other';
  return { connection, operation, subject: undefined, text };
}

/** What the owner of the NATS servers has to change, in words; undefined if the refusal does not say. */
export function remedyOf(refusal: NatsRefusal): string | undefined {
  const { operation, subject } = refusal;
  if (operation === 'subscription limit')
    return 'the limit on subscriptions of its account, user or server must be higher';
  if (subject === undefined || operation === 'other') return undefined;
  if (operation === 'publish') return 'its user needs the permission publish ">"';
  return `its user needs the permission subscribe "${permittingSubject(subject)}"`;
}

/** The broker's subscriptions are in few families, each of which needs one permission. */
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
