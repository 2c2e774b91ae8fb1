import { NO_CHANNEL } from '../../dedup/guid-generation.js';
import { STAN_ERROR } from '../../protocol/error-texts.js';
import { maxMsgProtoSize } from '../../protocol/msgproto.js';
import { encodePubAckError, maxPubAckErrorSize } from '../../protocol/puback.js';
import { decodePubMsg, newPubMsgView } from '../../protocol/pubmsg.js';
import type { BadInputKind } from '../state/bad-input.js';
import type { Channel } from '../state/channel.js';
import type { ClientSession } from '../state/client-session.js';
import { answerProbe } from './answer-probe.js';
import { answersAfterCommit, type BrokerContext } from './context.js';
import { openChannel } from './open-channel.js';

/** What redelivery adds to a stored message, at most. */
const MAX_REDELIVERED_BYTES = 8;

/**
 * A message from a publisher: checked, given its sequence, appended to the gathering batch. Its ack is encoded now, from
 * the bytes at hand, and held back until the batch is durable. The hottest path there is.
 */
export class PublishHandler {
  readonly #context: BrokerContext;
  readonly #view = newPubMsgView();

  constructor(context: BrokerContext) {
    this.#context = context;
  }

  /**
   * @param mayWait it can be asked to come again
   * @returns false if it is not known yet whether there is room: nothing was done, and it is to come again when that is known
   */
  handle(
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
    mayWait: boolean,
  ): boolean {
    const { counters } = this.#context;
    const isDone = this.#handle(buffer, replyStart, replyEnd, payloadStart, payloadEnd, mayWait);
    if (!isDone) return false;
    counters.messagesIn++;
    counters.bytesIn += payloadEnd - payloadStart;
    return true;
  }

  #handle(
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
    mayWait: boolean,
  ): boolean {
    const context = this.#context;
    const view = this.#view;
    const { counters } = context;
    if (!decodePubMsg(buffer, payloadStart, payloadEnd, view)) {
      if (answerProbe(context, buffer, replyStart, replyEnd, payloadStart, payloadEnd)) {
        // It is nobody's message.
        counters.messagesIn--;
        counters.bytesIn -= payloadEnd - payloadStart;
        return true;
      }
      // What was read of it before it went wrong is not to be trusted, the guid neither.
      view.guidStart = view.guidEnd = payloadStart;
      this.#refuse(buffer, replyStart, replyEnd, STAN_ERROR.invalidPublishRequest, 'malformed PubMsg');
      return true;
    }
    if (view.guidStart === view.guidEnd) {
      this.#refuse(buffer, replyStart, replyEnd, STAN_ERROR.invalidPublishRequest, 'PubMsg without guid');
      return true;
    }
    const client = context.clients.find(
      buffer,
      view.clientIdStart,
      view.clientIdEnd,
      view.connIdStart,
      view.connIdEnd,
    );
    if (client === undefined) {
      this.#refuse(
        buffer,
        replyStart,
        replyEnd,
        STAN_ERROR.invalidPublishRequest,
        'publish by an unknown client',
        answersAfterCommit(context),
      );
      return true;
    }
    let channel = context.channels.find(buffer, view.subjectStart, view.subjectEnd);
    const channelId = channel === undefined ? NO_CHANNEL : channel.log.id;
    // Before all that depends on the present: what it repeats was stored, whatever has become of it.
    if (context.recentGuids.has(client.record.session, channelId, buffer, view.guidStart, view.guidEnd)) {
      counters.duplicatePublishes++;
      this.#confirm(client, buffer, replyStart, replyEnd);
      return true;
    }
    const { store } = context;
    if (store.pendingBytes + context.waitingBytes > context.options.maxPendingBytes) {
      this.#refuse(buffer, replyStart, replyEnd, OVERLOADED, 'too much waits for the disk');
      return true;
    }
    if (payloadEnd - payloadStart + SIZE_MARGIN > context.turn.link!.maxPayload && this.#isTooLarge()) {
      this.#refuse(buffer, replyStart, replyEnd, TOO_LARGE, 'message too large to be delivered');
      return true;
    }
    const admission = store.admit(payloadEnd - payloadStart);
    if (admission === 'later') {
      if (mayWait) return false;
      this.#refuse(buffer, replyStart, replyEnd, OVERLOADED, 'too much waits for the disk');
      return true;
    }
    if (admission !== 'yes') {
      const error = `stanchion: store is full: ${admission.full}`;
      this.#refuse(buffer, replyStart, replyEnd, error, 'store full');
      return true;
    }
    if (channel === undefined) {
      const opened = openChannel(context, buffer, view.subjectStart, view.subjectEnd);
      if (typeof opened === 'string') {
        const error = opened === STAN_ERROR.invalidSubject ? STAN_ERROR.invalidPublishRequest : opened;
        const kind = 'publish refused: no channel of that name';
        this.#refuse(buffer, replyStart, replyEnd, error, kind, answersAfterCommit(context));
        return true;
      }
      channel = opened;
    }
    this.#append(channel, client, buffer, replyStart, replyEnd);
    return true;
  }

  #append(
    channel: Channel,
    client: ClientSession,
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
  ): void {
    const { store, gate, recentGuids } = this.#context;
    const view = this.#view;
    const { session } = client.record;
    const { log } = channel;
    const sequence = log.append(view, session);
    recentGuids.add(session, log.id, view.guidStart, view.guidEnd, store.timeMs);
    const held = gate.hold(store.gathering);
    held.appended(channel, sequence);
    if (replyStart === replyEnd) return;
    const out = held.answers;
    if (out !== undefined) {
      client.ackLine.write(out, buffer, replyStart, replyEnd, view.guidStart, view.guidEnd);
    }
  }

  /** Its guid was stored before: acknowledged when all that is stored by now is durable, and so that message. */
  #confirm(client: ClientSession, buffer: Buffer, replyStart: number, replyEnd: number): void {
    if (replyStart === replyEnd) return;
    const view = this.#view;
    const out = answersAfterCommit(this.#context);
    if (out !== undefined) {
      client.ackLine.write(out, buffer, replyStart, replyEnd, view.guidStart, view.guidEnd);
    }
  }

  #isTooLarge(): boolean {
    return maxMsgProtoSize(this.#view) + MAX_REDELIVERED_BYTES > this.#context.turn.link!.maxPayload;
  }

  /** @param out where it is written: at once, unless it follows from what is not durable yet */
  #refuse(
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    error: string,
    kind: BadInputKind,
    out = this.#context.turn.out,
  ): void {
    const context = this.#context;
    const view = this.#view;
    context.counters.refusedPublishes++;
    context.badInput.note(kind, () => ({
      channel: text(buffer, view.subjectStart, view.subjectEnd),
      clientId: text(buffer, view.clientIdStart, view.clientIdEnd),
      answer: error,
    }));
    if (out === undefined || replyStart === replyEnd) return;
    if (maxPubAckErrorSize(view.guidStart, view.guidEnd, error) > context.turn.link!.maxPayload) {
      // The answer would cost the connection. Nobody can have meant such a guid.
      view.guidStart = view.guidEnd;
    }
    // Encoded behind the line whose length depends on it: measured first, in a scratch buffer.
    const scratch = Buffer.allocUnsafe(maxPubAckErrorSize(view.guidStart, view.guidEnd, error));
    const size = encodePubAckError(scratch, 0, buffer, view.guidStart, view.guidEnd, error);
    out.pub(buffer, replyStart, replyEnd, size);
    out.bytes(scratch, 0, size);
    out.crlf();
  }
}

/** Larger than what MsgProto and redelivery can add to a PubMsg that drops its ids. */
const SIZE_MARGIN = 64;
const OVERLOADED = 'stanchion: too many messages wait for the disk: slow down and publish again';
const TOO_LARGE =
  'stanchion: message too large: with its sequence and timestamp it exceeds the max_payload of the NATS server';

/** For the log: cut, and safe to print. */
function text(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('utf8', start, Math.min(end, start + 100));
}
