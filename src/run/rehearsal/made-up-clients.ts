// The clients of a rehearsal: `MadeUpClients`.

import { ackSubject, publishSubject } from '../../broker/served-subjects.js';
import {
  decodeConnectResponse,
  decodeSubscriptionResponse,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  StartPosition,
  type SubscriptionRequest,
} from '../../protocol/messages.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import { must } from '../../util/assert.js';
import type { InProcessNats, OnPublished } from './in-process-nats.js';

/** What every inbox begins with. A letter for its kind and three digits follow. */
const INBOX = '_INBOX.rehearsal.';
const DIGITS = 3;
const ACK_KIND = 'p';
const DELIVERY_KIND = 'd';
const REQUEST_KIND = 'q';
const KIND_OF_DELIVERIES = DELIVERY_KIND.charCodeAt(0);
const KIND_OF_REQUESTS = REQUEST_KIND.charCodeAt(0);
const ZERO = 0x30;
const NINE = 0x39;
const SUBJECT_TAG = 0x0a;
const SEQUENCE_TAG = 0x10;
const MAX_VARINT_BYTES = 8;
/** A guid is as long as a NUID. */
const GUID_BYTES = 22;
const COUNTER_BYTES = 10;
/** Acks for one read of the broker. */
const ACK_BYTES = 64 * 1024;

/** A subscription, and what its acks are made of. */
interface Subscriber {
  readonly ackInbox: string;
  readonly channel: Buffer;
  /** It acknowledges nothing. */
  isSilent: boolean;
}

/** Messages of one publisher, as they come from NATS: one read. Only their guids change from one feed to the next. */
export interface Publications {
  readonly bytes: Buffer;
  readonly counters: readonly number[];
}

/** Clients that exist only as bytes: they connect, subscribe, publish and acknowledge over an `InProcessNats`. */
export class MadeUpClients {
  /** Messages and answers that came from the broker. */
  received = 0;
  readonly #subjects: StanSubjects;
  readonly #storeId: string;
  readonly #defer: (callback: () => void) => void;
  readonly #subscribers: Subscriber[] = [];
  readonly #waiting: (((payload: Buffer) => void) | undefined)[] = [];
  readonly #counter = Buffer.alloc(COUNTER_BYTES, ZERO);
  readonly #acks = Buffer.alloc(ACK_BYTES);
  #ackBytes = 0;
  #nats: InProcessNats | undefined;

  constructor(subjects: StanSubjects, storeId: string, defer: (callback: () => void) => void) {
    this.#subjects = subjects;
    this.#storeId = storeId;
    this.#defer = defer;
  }

  /** From now on the broker is behind this server. */
  moveTo(nats: InProcessNats): void {
    this.#nats = nats;
    this.#ackBytes = 0;
  }

  async connect(clientId: string): Promise<void> {
    const request = { clientId, connId: connIdOf(clientId), heartbeatInbox: `${INBOX}h000`, protocol: 1 };
    const answer = await this.#request(this.#subjects.discover, encodeConnectRequest(request));
    decodeConnectResponse(answer);
  }

  async ping(clientId: string): Promise<void> {
    await this.#request(this.#subjects.pings, encodePing({ connId: connIdOf(clientId) }));
  }

  /** @returns its ack inbox */
  async subscribe(
    clientId: string,
    channel: string,
    more: Partial<SubscriptionRequest> & { isSilent?: boolean } = {},
  ): Promise<string> {
    const { isSilent = false, ...fields } = more;
    const index = this.#subscribers.length;
    const subscriber = { ackInbox: '', channel: Buffer.from(channel), isSilent };
    this.#subscribers.push(subscriber);
    const request = encodeSubscriptionRequest({
      clientId,
      subject: channel,
      inbox: inboxOf(DELIVERY_KIND, index),
      maxInFlight: 1_024,
      ackWaitSeconds: 30,
      startPosition: StartPosition.NEW_ONLY,
      ...fields,
    });
    const { ackInbox } = decodeSubscriptionResponse(await this.#request(this.#subjects.subscribe, request));
    this.#subscribers[index] = { ...subscriber, ackInbox };
    return ackInbox;
  }

  /** Makes all subscriptions acknowledge from now on. */
  wake(): void {
    for (const subscriber of this.#subscribers) subscriber.isSilent = false;
  }

  /** Ends a subscription. @param inbox its ack inbox, which names it */
  async unsubscribe(clientId: string, channel: string, inbox: string, isClose: boolean): Promise<void> {
    const subject = isClose ? this.#subjects.subscriptionClose : this.#subjects.unsubscribe;
    await this.#request(subject, encodeUnsubscribeRequest({ clientId, subject: channel, inbox }));
  }

  async close(clientId: string): Promise<void> {
    await this.#request(this.#subjects.close, encodeCloseRequest({ clientId }));
  }

  /** @param channels taken in turns, message by message */
  publications(
    clientId: string,
    channels: readonly string[],
    count: number,
    payloadBytes: number,
  ): Publications {
    const data = Buffer.alloc(payloadBytes, 'x');
    const guid = clientId.slice(0, 2).padEnd(GUID_BYTES, '0');
    const reply = inboxOf(ACK_KIND, 0);
    const sid = this.#sidOf(publishSubject(this.#subjects));
    const parts: Buffer[] = [];
    const counters: number[] = [];
    let end = 0;
    for (let i = 0; i < count; i++) {
      const channel = must(channels[i % channels.length], 'publications have a channel');
      const message = Buffer.from(
        encodePubMsg({ clientId, guid, subject: channel, data, connId: connIdOf(clientId) }),
      );
      const head = Buffer.from(
        `MSG ${this.#subjects.publish}.${channel} ${sid} ${reply} ${message.length}\r\n`,
      );
      counters.push(end + head.length + message.indexOf(guid) + GUID_BYTES - COUNTER_BYTES);
      parts.push(head, message, CRLF);
      end += head.length + message.length + CRLF.length;
    }
    return { bytes: Buffer.concat(parts), counters };
  }

  /** Publishes them, under new guids. */
  publish({ bytes, counters }: Publications): void {
    const counter = this.#counter;
    for (const at of counters) {
      let digit = COUNTER_BYTES - 1;
      while (counter[digit] === NINE) counter[digit--] = ZERO;
      counter[digit]++;
      for (let i = 0; i < COUNTER_BYTES; i++) bytes[at + i] = counter[i];
    }
    this.#nats?.feed(bytes);
  }

  /** Publishes them once more, under the guids that they have. */
  publishAgain({ bytes }: Publications): void {
    this.#nats?.feed(bytes);
  }

  /** What the broker sends. */
  readonly onPublished: OnPublished = (buffer, subjectStart, subjectEnd, payloadStart, payloadEnd) => {
    this.received++;
    const kind = buffer[subjectStart + INBOX.length];
    if (kind !== KIND_OF_DELIVERIES && kind !== KIND_OF_REQUESTS) return;
    let index = 0;
    for (let at = subjectEnd - DIGITS; at < subjectEnd; at++) index = index * 10 + buffer[at] - ZERO;
    if (kind === KIND_OF_DELIVERIES) {
      const subscriber = this.#subscribers[index];
      if (subscriber?.ackInbox !== '' && subscriber?.isSilent === false)
        this.#acknowledge(subscriber, buffer, payloadStart + 1);
      return;
    }
    const payload = Buffer.from(buffer.subarray(payloadStart, payloadEnd));
    this.#waiting[index]?.(payload);
    this.#waiting[index] = undefined;
  };

  /** @param sequenceAt where the sequence begins in the buffer, as a varint */
  #acknowledge({ ackInbox, channel }: Subscriber, buffer: Buffer, sequenceAt: number): void {
    const acks = this.#acks;
    const size = 2 + channel.length + 1 + MAX_VARINT_BYTES;
    if (this.#ackBytes + ackInbox.length + size + 32 > ACK_BYTES) return;
    let end = sequenceAt;
    while ((buffer[end] ?? 0) >= 0x80) end++;
    const length = 2 + channel.length + 1 + (end + 1 - sequenceAt);
    let at = this.#ackBytes;
    if (at === 0) this.#defer(this.#sendAcks);
    at += acks.write(`MSG ${ackInbox} ${this.#sidOf(ackSubject(this.#storeId))} ${length}\r\n`, at, 'latin1');
    acks[at++] = SUBJECT_TAG;
    acks[at++] = channel.length;
    acks.set(channel, at);
    at += channel.length;
    acks[at++] = SEQUENCE_TAG;
    at += buffer.copy(acks, at, sequenceAt, end + 1);
    acks.set(CRLF, at);
    this.#ackBytes = at + CRLF.length;
  }

  readonly #sendAcks = (): void => {
    const bytes = this.#ackBytes;
    this.#ackBytes = 0;
    // They are copied before anything is answered.
    this.#nats?.feed(this.#acks, bytes);
  };

  #request(subject: string, payload: Uint8Array): Promise<Buffer> {
    const index = this.#waiting.length % 10 ** DIGITS;
    return new Promise((resolve) => {
      this.#waiting[index] = resolve;
      const head = `MSG ${subject} ${this.#sidOf(subject)} ${inboxOf(REQUEST_KIND, index)} ${payload.length}\r\n`;
      this.#nats?.feed(Buffer.concat([Buffer.from(head), payload, CRLF]));
    });
  }

  #sidOf(subject: string): number {
    return must(this.#nats?.sidOf(subject), 'a broker that serves has subscribed');
  }
}

const CRLF = Buffer.from('\r\n');

function inboxOf(kind: string, index: number): string {
  return `${INBOX}${kind}${String(index).padStart(DIGITS, '0')}`;
}

function connIdOf(clientId: string): Buffer {
  return Buffer.from(clientId.padEnd(GUID_BYTES, '.'));
}
