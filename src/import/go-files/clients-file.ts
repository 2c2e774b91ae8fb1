import { GoWireError } from '../go-wire/field-reader.js';
import { decodeGoClient, decodeGoClientDelete, type GoClient } from '../go-wire/go-records.js';
import type { ReadSettings } from './slice.js';
import { eachTypedRecord } from './typed-records.js';

const ADD = 1;
const DELETE = 2;
/** Far more than any broker has; damage cannot make more, since each is a record. */
const MAX_CLIENTS = 1_000_000;

/** Reads `clients.dat`: the clients that were connected, by id. */
export async function readClients(path: string, settings: ReadSettings): Promise<Map<string, GoClient>> {
  const clients = new Map<string, GoClient>();
  await eachTypedRecord(path, settings, ({ type, buffer, payloadStart, payloadEnd }) => {
    if (type === ADD) {
      const client = decodeGoClient(buffer, payloadStart, payloadEnd);
      clients.set(client.clientId, client);
      if (clients.size > MAX_CLIENTS) throw new GoWireError(`there are more than ${MAX_CLIENTS} clients`);
    } else if (type === DELETE) {
      clients.delete(decodeGoClientDelete(buffer, payloadStart, payloadEnd));
    } else {
      throw new GoWireError(`a record of clients has the unknown type ${type}`);
    }
  });
  return clients;
}
