/*
 * A store as JSON Lines, one object a line:
 *
 *   {"stanchion":"export","format":1,...}    the header: of which store, made when, and how much is in it
 *   {"client":{...}}                         a connected client
 *   {"channel":{...}}                        a channel with its bounds, in the order of the names
 *   {"subscription":{...}}                   a subscription, or a durable that is offline, with its pending messages
 *   {"subject":"orders","sequence":1,...}    a message, with the fields of `stanchion sub -o json`: channel by channel, in the order of the channels
 *   {"end":{...}}                            how much was written: a file without this line has been cut
 */

import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { decodeMsgProtoView, newMsgProtoView, readMsgProtoTimestampNs } from '../../protocol/msgproto.js';
import { timeText } from '../../util/time-text.js';

export const FORMAT = 1;

const count = z.int().min(0);
const sequence = z.int().min(0);
const u32 = z.int().min(0).max(0xffff_ffff);

export const header = z.object({
  stanchion: z.literal('export'),
  format: z.int().min(1),
  version: z.string().optional(),
  clusterId: z.string().min(1),
  storeId: z.string().optional(),
  madeAt: z.string().optional(),
  clients: count,
  channels: count,
  subscriptions: count,
  messages: count,
});

export const client = z.object({
  clientId: z.string().min(1),
  heartbeatInbox: z.string(),
  connId: z.string().optional(),
  connIdBase64: z.base64().optional(),
  protocol: u32,
  pingIntervalSeconds: u32,
  pingMaxOut: u32,
});

export const channel = z.object({
  name: z.string().min(1),
  firstSequence: z.int().min(1),
  lastSequence: sequence,
  messages: count,
});

export const subscription = z.object({
  channel: z.string().min(1),
  clientId: z.string(),
  inbox: z.string(),
  ackInbox: z.string(),
  queueGroup: z.string(),
  durableName: z.string(),
  isDurable: z.boolean(),
  isOnline: z.boolean(),
  maxInFlight: u32,
  ackWaitSeconds: u32,
  lastSent: sequence,
  pending: z.array(z.int().min(1)),
});

/** The lines beside the header and the messages. */
export const entry = z.union([
  z.strictObject({ client }),
  z.strictObject({ channel }),
  z.strictObject({ subscription }),
  z.strictObject({
    end: z.object({ clients: count, channels: count, subscriptions: count, messages: count }),
  }),
]);

export type Header = z.infer<typeof header>;
export type Entry = z.infer<typeof entry>;
export type ChannelEntry = z.infer<typeof channel>;
export type Counts = Pick<Header, 'clients' | 'channels' | 'subscriptions' | 'messages'>;

const VIEW = newMsgProtoView();

/**
 * The line of a message, with its end.
 *
 * @param subject the channel's name as JSON
 * @throws Error if it is not a MsgProto
 */
export function messageLine(
  buffer: Buffer,
  start: number,
  end: number,
  sequence: number,
  subject: string,
): string {
  if (!decodeMsgProtoView(buffer, start, end, VIEW))
    throw new Error(`message ${sequence} of ${subject} is not one of the protocol's`);
  const timestamp = timeText(readMsgProtoTimestampNs(buffer, start, end));
  const reply =
    VIEW.replyEnd === VIEW.replyStart
      ? ''
      : `,${bytesField('reply', buffer, VIEW.replyStart, VIEW.replyEnd)}`;
  const data = bytesField('data', buffer, VIEW.dataStart, VIEW.dataEnd);
  return `{"subject":${subject},"sequence":${sequence},"timestamp":"${timestamp}"${reply},${data}}\n`;
}

/** Bytes as a field with text if they are UTF-8, which comes back byte for byte; otherwise in base64, as `nameBase64`. */
function bytesField(name: string, buffer: Buffer, start: number, end: number): string {
  const bytes = buffer.subarray(start, end);
  if (isUtf8(bytes)) return `"${name}":${JSON.stringify(buffer.toString('utf8', start, end))}`;
  return `"${name}Base64":"${buffer.toString('base64', start, end)}"`;
}

/** The connection id of a client, as fields. */
export function connIdFields(connId: Uint8Array): { connId: string } | { connIdBase64: string } {
  const bytes = Buffer.from(connId);
  return isUtf8(bytes) ? { connId: bytes.toString() } : { connIdBase64: bytes.toString('base64') };
}
