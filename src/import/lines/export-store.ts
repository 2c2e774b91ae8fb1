import type { Writable } from 'node:stream';
import type { StoreReader } from '../../store/tools/store-reader.js';
import { must } from '../../util/assert.js';
import { unlessAborted } from '../../util/unless-aborted.js';
import { VERSION } from '../../version.js';
import { type Counts, connIdFields, FORMAT, messageLine } from './line-format.js';

export interface ExportOptions {
  /** ISO 8601. */
  madeAt: string;
  /** Ends the export, by the signal's reason. */
  signal: AbortSignal;
  onProgress(messages: number): void;
}

export interface ExportResult extends Counts {
  /** Bytes of JSON, before any compression. */
  bytes: number;
  /** Messages that a limit of the running broker dropped before they were read. */
  dropped: number;
}

/** Characters that are gathered before they are written. */
const PIECE_LENGTH = 64 * 1024;

/** Writes the whole content of a store as JSON Lines. It does not end the stream. */
export async function exportStore(
  reader: StoreReader,
  out: Writable,
  { madeAt, signal, onProgress }: ExportOptions,
): Promise<ExportResult> {
  const { identity, channels, clients, subscriptions } = reader;
  const { clusterId, storeId } = identity;
  const lines = new PieceWriter(out, signal);
  const counts: Counts = {
    clients: clients.length,
    channels: channels.length,
    subscriptions: subscriptions.length,
    messages: channels.reduce((sum, channel) => sum + channel.messages, 0),
  };
  lines.add({ stanchion: 'export', format: FORMAT, version: VERSION, clusterId, storeId, madeAt, ...counts });
  for (const { clientId, heartbeatInbox, connId, protocol, pingIntervalSeconds, pingMaxOut } of clients) {
    const client = { clientId, heartbeatInbox, ...connIdFields(connId) };
    lines.add({ client: { ...client, protocol, pingIntervalSeconds, pingMaxOut } });
    await lines.whenFull();
  }
  for (const { id: _, ...channel } of channels) {
    lines.add({ channel });
    await lines.whenFull();
  }
  const names = new Map(channels.map(({ id, name }) => [id, name]));
  for (const { record, pending } of subscriptions) {
    const { id: _, channelId, ...subscription } = record;
    const channel = must(names.get(channelId), 'the channel of a subscription is in the store');
    lines.add({ subscription: { channel, ...subscription, pending } });
    await lines.whenFull();
  }
  let messages = 0;
  let dropped = 0;
  for (const channel of channels) {
    const subject = JSON.stringify(channel.name);
    const read = await reader.read(channel, ({ buffer, start, end }, sequence) => {
      lines.addLine(messageLine(buffer, start, end, sequence, subject));
      messages++;
      if (!lines.isFull) return undefined;
      onProgress(messages);
      return lines.flush();
    });
    dropped += read.dropped;
  }
  lines.add({ end: { ...counts, messages } });
  await lines.flush();
  return { ...counts, messages, dropped, bytes: lines.bytes };
}

/** Gathers lines, and waits while the reader of the stream is slow. */
class PieceWriter {
  bytes = 0;
  #piece = '';
  readonly #out: Writable;
  readonly #signal: AbortSignal;

  constructor(out: Writable, signal: AbortSignal) {
    this.#out = out;
    this.#signal = signal;
  }

  get isFull(): boolean {
    return this.#piece.length >= PIECE_LENGTH;
  }

  add(line: object): void {
    this.addLine(`${JSON.stringify(line)}\n`);
  }

  addLine(line: string): void {
    this.#piece += line;
  }

  async whenFull(): Promise<void> {
    if (this.isFull) await this.flush();
  }

  async flush(): Promise<void> {
    this.#signal.throwIfAborted();
    const piece = Buffer.from(this.#piece);
    this.#piece = '';
    this.bytes += piece.length;
    const out = this.#out;
    // A transform that fails while it waits for its reader never calls back.
    const writing = new Promise<void>((resolve, reject) => {
      out.once('error', reject);
      out.write(piece, (error) => {
        out.off('error', reject);
        if (error == null) resolve();
        else reject(error);
      });
    });
    // A reader that reads no more does not keep it from ending.
    await unlessAborted(writing, this.#signal);
  }
}
