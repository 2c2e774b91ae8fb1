import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { ProtocolError } from './error-texts.js';
import * as pb from './generated/protocol_pb.js';
import { LENGTH_DELIMITED, MALFORMED, readTag, skipValue, VARINT, wire } from './wire.js';

export { StartPosition } from './generated/protocol_pb.js';

/*
 * The messages as plain objects, for rare messages and for clients. The hot messages have codecs of their own beside this file. In
 * strings that are not UTF-8 each bad byte becomes U+FFFD.
 */

type Plain<T extends Message> = Omit<T, '$typeName' | '$unknown'>;

export type PubMsg = Plain<pb.PubMsg>;
export type PubAck = Plain<pb.PubAck>;
export type ConnectRequest = Plain<pb.ConnectRequest>;
export type ConnectResponse = Plain<pb.ConnectResponse>;
export type Ping = Plain<pb.Ping>;
export type PingResponse = Plain<pb.PingResponse>;
export type SubscriptionResponse = Plain<pb.SubscriptionResponse>;
export type UnsubscribeRequest = Plain<pb.UnsubscribeRequest>;
export type CloseRequest = Plain<pb.CloseRequest>;
export type CloseResponse = Plain<pb.CloseResponse>;

/** Sequences are numbers. A sequence above 2^53 - 1 is read as 2^53 - 1, which no channel reaches. */
export type MsgProto = Omit<Plain<pb.MsgProto>, 'sequence'> & { sequence: number };
export type Ack = Omit<Plain<pb.Ack>, 'sequence'> & { sequence: number };
export type SubscriptionRequest = Omit<Plain<pb.SubscriptionRequest>, 'startSequence'> & {
  startSequence: number;
};

// The decoders throw only `ProtocolError`, for bytes that are not the message. Their results share no memory with the bytes.
export const decodePubMsgMessage = decoder<PubMsg>(pb.PubMsgSchema);
export const decodePubAck = decoder<PubAck>(pb.PubAckSchema);
export const decodeConnectRequest = decoder<ConnectRequest>(pb.ConnectRequestSchema);
export const decodeConnectResponse = decoder<ConnectResponse>(pb.ConnectResponseSchema);
export const decodePing = decoder<Ping>(pb.PingSchema);
export const decodePingResponse = decoder<PingResponse>(pb.PingResponseSchema);
export const decodeSubscriptionResponse = decoder<SubscriptionResponse>(pb.SubscriptionResponseSchema);
export const decodeUnsubscribeRequest = decoder<UnsubscribeRequest>(pb.UnsubscribeRequestSchema);
export const decodeCloseRequest = decoder<CloseRequest>(pb.CloseRequestSchema);
export const decodeCloseResponse = decoder<CloseResponse>(pb.CloseResponseSchema);

const decodeMsgProtoWide = decoder<Plain<pb.MsgProto>>(pb.MsgProtoSchema);
const decodeAckWide = decoder<Plain<pb.Ack>>(pb.AckSchema);
const decodeSubscriptionRequestWide = decoder<Plain<pb.SubscriptionRequest>>(pb.SubscriptionRequestSchema);

export function decodeMsgProto(bytes: Uint8Array): MsgProto {
  const wide = decodeMsgProtoWide(bytes);
  return { ...wide, sequence: toSequence(wide.sequence) };
}

export function decodeAckMessage(bytes: Uint8Array): Ack {
  const wide = decodeAckWide(bytes);
  return { ...wide, sequence: toSequence(wide.sequence) };
}

export function decodeSubscriptionRequest(bytes: Uint8Array): SubscriptionRequest {
  const wide = decodeSubscriptionRequestWide(bytes);
  return { ...wide, startSequence: toSequence(wide.startSequence) };
}

// The encoders take the fields that are set. The others are zero or empty, and not sent.
export const encodePubMsg = encoder<PubMsg>(pb.PubMsgSchema);
export const encodePubAck = encoder<PubAck>(pb.PubAckSchema);
export const encodeConnectRequest = encoder<ConnectRequest>(pb.ConnectRequestSchema);
export const encodeConnectResponse = encoder<ConnectResponse>(pb.ConnectResponseSchema);
export const encodePing = encoder<Ping>(pb.PingSchema);
export const encodePingResponse = encoder<PingResponse>(pb.PingResponseSchema);
export const encodeSubscriptionResponse = encoder<SubscriptionResponse>(pb.SubscriptionResponseSchema);
export const encodeUnsubscribeRequest = encoder<UnsubscribeRequest>(pb.UnsubscribeRequestSchema);
export const encodeCloseRequest = encoder<CloseRequest>(pb.CloseRequestSchema);
export const encodeCloseResponse = encoder<CloseResponse>(pb.CloseResponseSchema);

const encodeMsgProtoWide = encoder<Plain<pb.MsgProto>>(pb.MsgProtoSchema);
const encodeAckWide = encoder<Plain<pb.Ack>>(pb.AckSchema);
const encodeSubscriptionRequestWide = encoder<Plain<pb.SubscriptionRequest>>(pb.SubscriptionRequestSchema);

export function encodeMsgProtoMessage(message: Partial<MsgProto>): Uint8Array {
  return encodeMsgProtoWide({ ...message, sequence: BigInt(message.sequence ?? 0) });
}

export function encodeAck(message: Partial<Ack>): Uint8Array {
  return encodeAckWide({ ...message, sequence: BigInt(message.sequence ?? 0) });
}

export function encodeSubscriptionRequest(message: Partial<SubscriptionRequest>): Uint8Array {
  return encodeSubscriptionRequestWide({ ...message, startSequence: BigInt(message.startSequence ?? 0) });
}

function toSequence(wide: bigint): number {
  return wide > MAX_SEQUENCE ? Number.MAX_SAFE_INTEGER : Number(wide);
}

const MAX_SEQUENCE = BigInt(Number.MAX_SAFE_INTEGER);

function encoder<P extends object>(schema: DescMessage): (fields: Partial<P>) => Uint8Array {
  return (fields) => toBinary(schema, create(schema, fields as MessageInitShape<DescMessage>));
}

function decoder<P>(schema: DescMessage): (bytes: Uint8Array) => P {
  const wireTypes = new Map(schema.fields.map((field) => [field.number, fieldWireType(field.scalar)]));
  const bytesFields = schema.fields.filter((field) => field.scalar === ScalarType.BYTES);
  return (bytes) => {
    checkWire(schema.name, wireTypes, bytes);
    try {
      const { $typeName: _, ...fields } = fromBinary(schema, bytes, { readUnknownFields: false });
      // The library returns views of `bytes`, which is a part of a read buffer.
      const values = fields as Record<string, unknown>;
      for (const { localName } of bytesFields)
        values[localName] = new Uint8Array(values[localName] as Uint8Array);
      return values as P;
    } catch (error) {
      throw new ProtocolError(schema.name, error instanceof Error ? error.message : String(error));
    }
  };
}

function fieldWireType(scalar: ScalarType | undefined): number {
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES ? LENGTH_DELIMITED : VARINT;
}

/** Checks the wire types of known fields. The library ignores a wrong one and reads past it; the Go decoder refuses it. */
function checkWire(name: string, wireTypes: ReadonlyMap<number, number>, bytes: Uint8Array): void {
  let pos = 0;
  while (pos < bytes.length) {
    const at = pos;
    pos = readTag(bytes, pos, bytes.length);
    if (pos === MALFORMED) throw new ProtocolError(name, `no valid tag at byte ${at} of ${bytes.length}`);
    const { fieldNumber, wireType } = wire;
    const expected = wireTypes.get(fieldNumber);
    if (expected !== undefined && expected !== wireType) {
      throw new ProtocolError(
        name,
        `field ${fieldNumber} at byte ${at} has wire type ${wireType}, not ${expected}`,
      );
    }
    pos = skipValue(bytes, pos, bytes.length);
    if (pos === MALFORMED) {
      throw new ProtocolError(
        name,
        `field ${fieldNumber} at byte ${at} does not fit in ${bytes.length} bytes`,
      );
    }
  }
}
