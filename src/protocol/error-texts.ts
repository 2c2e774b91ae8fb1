/** The error texts of the protocol. Clients compare them letter by letter, so they are those of the Go server, with its misspelling. */
export const STAN_ERROR = {
  invalidSubject: 'stan: invalid subject',
  invalidStart: 'stan: invalid start position',
  invalidSubscription: 'stan: invalid subscription',
  clientIdRegistered: 'stan: clientID already registered',
  clientIdMissing: 'stan: clientID missing',
  invalidClientId: 'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed',
  invalidAckWait: 'stan: invalid ack wait time, should be >= 1s',
  invalidMaxInFlight: 'stan: invalid MaxInflight, should be >= 1',
  invalidConnectRequest: 'stan: invalid connection request',
  invalidPublishRequest: 'stan: invalid publish request',
  invalidSubscribeRequest: 'stan: invalid subscription request',
  invalidUnsubscribeRequest: 'stan: invalid unsubscribe request',
  invalidCloseRequest: 'stan: invalid close request',
  duplicateDurable: 'stan: duplicate durable registration',
  invalidDurableName: "stan: durable name of a durable queue subscriber can't contain the character ':'",
  unknownClient: 'stan: unknown clientID',
  unknownChannel: 'stan: unknown channel',
  channelDeleteInProgress: 'stan: channel is being deleted',
  tooManyChannels: 'too many channels',
  tooManySubscriptions: 'too many subscriptions per channel',
  pingUnknownConnection: 'client has been replaced or is no longer registered',
} as const;

export type StanError = (typeof STAN_ERROR)[keyof typeof STAN_ERROR];

/** The error for a channel whose name differs from an existing one's only in upper and lower case. */
export function channelCaseClash(refused: string, existing: string): string {
  return `rejecting channel ${goQuote(refused)} because channel ${goQuote(existing)} alreay exists (different cases not allowed)`;
}

/** Quotes a channel name as Go's `%q` does. */
function goQuote(text: string): string {
  let quoted = '"';
  for (const char of text)
    quoted += GO_ESCAPES.get(char) ?? (NOT_PRINTABLE.test(char) ? goEscape(char) : char);
  return `${quoted}"`;
}

const GO_ESCAPES = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

// Go prints letters, marks, numbers, punctuation and symbols, and U+0020 as the only space.
const NOT_PRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

function goEscape(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

/** The bytes are not the expected message. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  /** @param messageName the protobuf message that was expected */
  constructor(
    readonly messageName: string,
    detail: string,
  ) {
    super(`not a ${messageName}: ${detail}`);
  }
}
