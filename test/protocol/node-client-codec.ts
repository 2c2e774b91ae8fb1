import { createRequire } from 'node:module';

/** A message of google-protobuf's generated code: setters by name. */
interface JsMessage {
  serializeBinary(): Uint8Array;
  [method: string]: (...args: unknown[]) => unknown;
}

interface JsMessageClass {
  new (): JsMessage;
  deserializeBinary(bytes: Uint8Array): JsMessage;
}

/** The codec of node-nats-streaming, a client in the field: what it writes is what the broker gets. */
export const { pb } = createRequire(import.meta.url)('node-nats-streaming/lib/pb') as {
  pb: Record<string, JsMessageClass>;
};

/** Bytes of a message with these fields, as that client makes them: `{ ClientId: 'me' }` calls `setClientId('me')`. */
export function serialize(name: string, fields: Record<string, unknown>): Buffer {
  const message = new pb[name]!();
  for (const [field, value] of Object.entries(fields)) message[`set${field}`]!(value);
  return Buffer.from(message.serializeBinary());
}

/** What that client reads in a message: `read('PubAck', bytes, ['Guid'])` calls `getGuid()`. */
export function read(name: string, bytes: Uint8Array, fields: readonly string[]): unknown[] {
  const message = pb[name]!.deserializeBinary(bytes);
  return fields.map((field) => message[`get${field}`]!());
}
