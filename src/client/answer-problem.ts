import { decodeSubscriptionResponse } from '../protocol/messages.js';
import { SubscribeError } from './client-errors.js';

/** @returns the error in the server's answer to a subscription request, or the lack of an answer; undefined if the request succeeded */
export function answerProblem(
  answer: Uint8Array | undefined,
  what: string,
  timeoutMs: number,
): SubscribeError | undefined {
  if (answer === undefined) {
    return new SubscribeError(`${what} was not answered within ${timeoutMs} ms`, {
      code: 'REQUEST_TIMEOUT',
      hint: 'Is a broker active? See `stanchion status`. Try again, or set a longer connectTimeout',
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
    return 'Another subscription of this client id uses the durable: close it first';
  if (serverText.includes('too many subscriptions')) return 'Raise --max-subs of the broker';
  if (serverText.includes('too many channels')) return 'Raise --max-channels of the broker';
  if (serverText.includes('unknown clientID'))
    return 'The server no longer knows this client: connect again, or use the option resume';
  return 'Change what the server complains about';
}
