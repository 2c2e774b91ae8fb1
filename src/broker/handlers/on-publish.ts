import { NO_CHANNEL } from '../../dedup/guid-generation.js';
import type { RecentGuids } from '../../dedup/recent-guids.js';
import { STAN_ERROR } from '../../protocol/error-texts.js';
import { maxMsgProtoSize } from '../../protocol/msgproto.js';
import { encodePubAckError, maxPubAckErrorSize } from '../../protocol/puback.js';
import { decodePubMsg, newPubMsgView } from '../../protocol/pubmsg.js';
import type { Store } from '../../store/types/store.js';
import type { Answers } from '../delivery/answers.js';
import type { CommitGate } from '../delivery/commit-gate.js';
import type { Turn } from '../delivery/turn.js';
import type { BadInput, BadInputKind } from '../state/bad-input.js';
import type { Channel } from '../state/channel.js';
import type { Channels } from '../state/channels.js';
import type { ClientSession } from '../state/client-session.js';
import type { Clients } from '../state/clients.js';
import type { Counters } from '../state/counters.js';
import { isForeign } from '../state/foreign-subject.js';
import type { ProbeAnswerer } from './answer-probe.js';
import type { Backlog } from './backlog.js';
import type { ChannelOpener } from './open-channel.js';

/** What redelivery adds to a stored message, at most. */
const MAX_REDELIVERED_BYTES = 8;

/** What a publish needs. */
export interface PublishNeeds {
  readonly clients: Pick<Clients, 'find'>;
  readonly channels: Pick<Channels, 'find'>;
  readonly opener: Pick<ChannelOpener, 'open'>;
  readonly recentGuids: Pick<RecentGuids, 'has' | 'add'>;
  readonly backlog: Pick<Backlog, 'isFull'>;
  readonly store: Pick<Store, 'admit' | 'gathering' | 'timeMs'>;
  readonly gate: Pick<CommitGate, 'hold'>;
  readonly answers: Pick<Answers, 'behindAppended'>;
  readonly turn: Pick<Turn, 'out' | 'maxPayload'>;
  readonly probes: Pick<ProbeAnswerer, 'answer'>;
  readonly counters: Counters;
  readonly badInput: BadInput;
}

/**
 * A message from a publisher: checked, given its sequence, appended to the gathering batch. Its ack is encoded now, from
 * the bytes at hand, and held back until the batch is durable. The hottest path there is.
 */
export class PublishHandler {
  readonly #needs: PublishNeeds;
  readonly #view = newPubMsgView();

  constructor(needs: PublishNeeds) {
    this.#needs = needs;
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
    const { counters } = this.#needs;
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
    const { clients, channels, opener, recentGuids, backlog, store, turn, answers, probes, counters } =
      this.#needs;
    const view = this.#view;
    if (!decodePubMsg(buffer, payloadStart, payloadEnd, view)) {
      if (probes.answer(buffer, replyStart, replyEnd, payloadStart, payloadEnd)) {
        // It is the broker's own message, not a client's.
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
    const client = clients.find(
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
        answers.behindAppended,
      );
      return true;
    }
    let channel = channels.find(buffer, view.subjectStart, view.subjectEnd);
    const channelId = channel === undefined ? NO_CHANNEL : channel.log.id;
    // Before all that depends on the present: what it repeats was stored, whatever has become of it.
    if (recentGuids.has(client.record.session, channelId, buffer, view.guidStart, view.guidEnd)) {
      counters.duplicatePublishes++;
      this.#confirm(client, buffer, replyStart, replyEnd);
      return true;
    }
    if (backlog.isFull) {
      this.#refuse(buffer, replyStart, replyEnd, OVERLOADED, 'too much waits for the disk');
      return true;
    }
    if (payloadEnd - payloadStart + SIZE_MARGIN > turn.maxPayload && this.#isTooLarge()) {
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
      const opened = opener.open(buffer, view.subjectStart, view.subjectEnd);
      if (typeof opened === 'string') {
        const error = opened === STAN_ERROR.invalidSubject ? STAN_ERROR.invalidPublishRequest : opened;
        const kind = 'publish refused: no channel of that name';
        this.#refuse(buffer, replyStart, replyEnd, error, kind, answers.behindAppended);
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
    const { store, gate, recentGuids } = this.#needs;
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
    const out = this.#needs.answers.behindAppended;
    if (out !== undefined) {
      client.ackLine.write(out, buffer, replyStart, replyEnd, view.guidStart, view.guidEnd);
    }
  }

  #isTooLarge(): boolean {
    return maxMsgProtoSize(this.#view) + MAX_REDELIVERED_BYTES > this.#needs.turn.maxPayload;
  }

  /** @param out where it is written: at once, unless it follows from what is not durable yet */
  #refuse(
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    error: string,
    kind: BadInputKind,
    out = this.#needs.turn.out,
  ): void {
    const { counters, badInput, turn } = this.#needs;
    const view = this.#view;
    counters.refusedPublishes++;
    badInput.note(kind, () => ({
      channel: text(buffer, view.subjectStart, view.subjectEnd),
      clientId: text(buffer, view.clientIdStart, view.clientIdEnd),
      answer: error,
    }));
    if (out === undefined || replyStart === replyEnd || isForeign(buffer, replyStart, replyEnd)) return;
    if (maxPubAckErrorSize(view.guidStart, view.guidEnd, error) > turn.maxPayload) {
      // The answer would cost the connection. No client means such a guid.
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
