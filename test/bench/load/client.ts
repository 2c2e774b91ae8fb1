import { decodeTexts, encode } from '../protobuf.js';
import { Connection } from './connection.js';

const PING_INTERVAL_SECONDS = 3_600;
const PING_MAX_OUT = 3;
const PROTOCOL_LEVEL = 1;

/** A connected STAN client with a NATS connection of its own. */
export interface Client {
  connection: Connection;
  clientId: string;
  connId: string;
  pubPrefix: string;
  subRequests: string;
  closeRequests: string;
}

/** @throws Error if the broker refuses, or does not answer */
export async function connectClient(
  { natsPort, clusterId, runId }: { natsPort: number; clusterId: string; runId: string },
  name: string,
  onError: (error: Error) => void,
): Promise<Client> {
  const clientId = `bench-${runId}-${name}`;
  const unique = `${runId}${name}`.padStart(21, '0').slice(-21);
  const connection = new Connection(natsPort, clientId, unique, onError);
  const connId = `c${unique}`;
  const request = encode([
    [1, clientId],
    [2, connection.heartbeatInbox],
    [3, PROTOCOL_LEVEL],
    [4, connId],
    [5, PING_INTERVAL_SECONDS],
    [6, PING_MAX_OUT],
  ]);
  const answer = decodeTexts(await connection.request(`_STAN.discover.${clusterId}`, request));
  const error = answer.get(5);
  if (error) throw new Error(`bench: connect refused: ${error}`);
  return {
    connection,
    clientId,
    connId,
    pubPrefix: answer.get(1) ?? '',
    subRequests: answer.get(2) ?? '',
    closeRequests: answer.get(4) ?? '',
  };
}

export async function closeClient({ connection, clientId, closeRequests }: Client): Promise<void> {
  await connection.request(closeRequests, encode([[1, clientId]]));
}

/** The fields of a PubMsg that do not change from message to message, but for the guid. */
export function encodePublish(
  { clientId, connId, pubPrefix }: Client,
  {
    channel,
    guid,
    ackInbox,
    payloadBytes,
  }: { channel: string; guid: string; ackInbox: string; payloadBytes: number },
): Buffer {
  const message = encode([
    [1, clientId],
    [2, guid],
    [3, channel],
    [5, Buffer.alloc(payloadBytes, 'x')],
    [6, connId],
  ]);
  const head = `PUB ${pubPrefix}.${channel} ${ackInbox} ${message.length}\r\n`;
  return Buffer.concat([Buffer.from(head), message, Buffer.from('\r\n')]);
}
