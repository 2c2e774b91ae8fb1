import { inspect } from 'node:util';

/** The kind of an error, for programs. */
export type StanErrorCode =
  | 'INVALID_OPTION'
  | 'INVALID_SUBJECT'
  | 'PAYLOAD_TOO_LARGE'
  | 'CONNECT_TIMEOUT'
  | 'CONNECT_REFUSED'
  | 'CONNECTION_LOST'
  | 'CONNECTION_CLOSED'
  | 'PUBLISH_REFUSED'
  | 'PUBLISH_QUEUE_FULL'
  | 'ACK_TIMEOUT'
  | 'REQUEST_TIMEOUT'
  | 'SUBSCRIBE_REFUSED'
  | 'SUBSCRIPTION_CLOSED'
  | 'CALLBACK_FAILED'
  | 'CODEC_FAILED'
  | 'ABORTED';

export interface StanErrorOptions {
  readonly code: StanErrorCode;
  /** What to do about the error. */
  readonly hint: string;
  /** The error text of the server, letter by letter. */
  readonly serverText?: string;
  readonly cause?: unknown;
}

/** Every error of this library. The message says what happened, and what to do. */
export class StanError extends Error {
  readonly code: StanErrorCode;
  readonly hint: string;
  readonly serverText: string | undefined;

  constructor(what: string, { code, hint, serverText, cause }: StanErrorOptions) {
    super(`${what}. ${hint}`, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
    this.serverText = serverText;
  }
}

/** An option has an invalid value, or a subject cannot be a channel. Nothing was sent. */
export class InvalidOptionError extends StanError {
  constructor(what: string, hint: string, code: 'INVALID_OPTION' | 'INVALID_SUBJECT' = 'INVALID_OPTION') {
    super(what, { code, hint });
  }
}

/** `connect` failed: the server refused (`serverText`), or there was no answer. */
export class ConnectError extends StanError {}

/** The message is not stored: it was refused, or never sent. */
export class PublishError extends StanError {
  /** The guid of the message. */
  readonly guid: string;

  constructor(what: string, guid: string, options: StanErrorOptions) {
    super(what, options);
    this.guid = guid;
  }
}

/** No ack came within the ack timeout. */
export class AckTimeoutError extends PublishError {
  /** Whether the message was sent, so that it may be stored. If false, it was never sent and is not stored. */
  readonly mayBeStored: boolean;

  constructor(what: string, guid: string, mayBeStored: boolean, options: Omit<StanErrorOptions, 'code'>) {
    super(what, guid, { ...options, code: 'ACK_TIMEOUT' });
    this.mayBeStored = mayBeStored;
  }
}

/** A subscription was refused (`serverText`), or there was no answer. */
export class SubscribeError extends StanError {}

/** The server no longer knows this client, or has not answered its pings. Messages that waited for an ack may be stored or not. */
export class ConnectionLostError extends StanError {
  constructor(what: string, hint: string, serverText?: string, cause?: unknown) {
    super(what, {
      code: 'CONNECTION_LOST',
      hint,
      ...(serverText !== undefined && { serverText }),
      ...(cause !== undefined && { cause }),
    });
  }
}

/** This program has closed the connection, or the subscription. */
export class ClosedError extends StanError {
  constructor(what: string, code: 'CONNECTION_CLOSED' | 'SUBSCRIPTION_CLOSED' = 'CONNECTION_CLOSED') {
    super(what, { code, hint: 'This program has closed it: open another one' });
  }
}

/** The message of a thrown value, which need not be an Error. */
export function reasonOf(thrown: unknown): string {
  const text: unknown =
    typeof thrown === 'string' ? thrown : (thrown as Partial<Error> | null | undefined)?.message;
  return typeof text === 'string' ? text : inspect(thrown, { depth: 0 });
}
