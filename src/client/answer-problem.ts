import { decodeSubscriptionResponse } from '../protocol/messages.js';
import { SubscribeError } from './client-errors.js';

/** @returns what a server's answer to a request of a subscription says against it, or the lack of one */
export function answerProblem(
  answer: Uint8Array | undefined,
  what: string,
  timeoutMs: number,
): SubscribeError | undefined {
  if (answer === undefined) {
    return new SubscribeError(`${what} was not answered within ${timeoutMs} ms`, {
      code: 'REQUEST_TIMEOUT',
      hint: 'Is a broker active? `stanchion status` tells. Try again, or wait longer with a longer connectTimeout',
    });
  }
  const { error: serverText } = decodeSubscriptionResponse(answer);
  if (serverText === '') return undefined;
  return new SubscribeError(`${what} was refused: ${serverText}`, {
    code: 'SUBSCRIBE_REFUSED',
    serverText,
    hint: hintFor(serverText),
  });
}

function hintFor(serverText: string): string {
  if (serverText.includes('duplicate durable'))
    return 'Another subscription of this client id uses the durable: close that one first';
  if (serverText.includes('too many subscriptions')) return 'Raise --max-subs of the broker';
  if (serverText.includes('too many channels')) return 'Raise --max-channels of the broker';
  if (serverText.includes('unknown clientID'))
    return 'The server does not know this client any more: connect again, or use the option resume';
  return 'Change what the server names';
}
