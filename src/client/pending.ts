// A published message that waits for its ack, and the errors that it can end with.

import { AckTimeoutError, PublishError, type StanError } from './client-errors.js';

/** Called once for each message: without an error if it is stored. */
export type OnAck = (error: StanError | undefined, guid: string) => void;

/** A message that waits for its ack. */
export interface Pending {
  /** Its number, in the order of the calls. */
  readonly number: number;
  readonly guid: string;
  /** The NATS subject. */
  readonly subject: string;
  readonly bytes: Buffer;
  readonly deadlineMs: number;
  readonly onAck: OnAck;
  /** The number of its last sending, counted over the connection; 0 before the first. */
  sending: number;
  sentMs: number;
}

/** Calls `onAck`. An error that the program throws there must not keep other messages from their acks. */
export function callOnAck({ onAck, guid }: Pending, error: StanError | undefined): void {
  try {
    onAck(error, guid);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

export function timeoutError({ guid, subject, sending }: Pending, ackTimeoutMs: number): AckTimeoutError {
  const isSent = sending > 0;
  const what = isSent ? 'it may be stored or not' : 'it was never sent, and is not stored';
  return new AckTimeoutError(
    `no ack within ${ackTimeoutMs} ms for message ${guid} on ${subject}: ${what}`,
    guid,
    isSent,
    { hint: 'Is a broker active? See `stanchion status`. A longer ackTimeout bridges longer outages' },
  );
}

export function tooLargeError(
  guid: string,
  channel: string,
  bytes: number,
  maxPayload: number,
): PublishError {
  return new PublishError(
    `a message of ${bytes} bytes to "${channel}" is too large: the NATS server takes ${maxPayload} bytes with the protocol's fields`,
    guid,
    { code: 'PAYLOAD_TOO_LARGE', hint: 'Publish smaller messages, or raise max_payload of the NATS servers' },
  );
}

export function refusedError(guid: string, serverText: string): PublishError {
  return new PublishError(`the message was refused: ${serverText}`, guid, {
    code: 'PUBLISH_REFUSED',
    serverText,
    hint: hintFor(serverText),
  });
}

function hintFor(serverText: string): string {
  if (serverText.includes('invalid publish request'))
    return 'The server no longer knows this client, or the subject cannot be a channel';
  if (serverText.includes('too many open files'))
    return 'Raise the limit of open files where the broker runs';
  if (serverText.includes('store is full'))
    return 'Make room on the disk of the store, then publish it again';
  if (serverText.includes('wait for the disk'))
    return 'Publish more slowly: the disk of the store cannot keep up';
  if (serverText.includes('too many channels')) return 'Raise --max-channels, or use fewer channels';
  return 'It is not stored: publish it again when the cause is gone';
}
