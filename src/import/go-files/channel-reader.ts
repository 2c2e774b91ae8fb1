import type { MessageOpener } from '../go-state/message-opener.js';
import type { MessageSink } from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import type { ChannelMessages } from './channel-messages.js';
import { MessageWalk } from './message-walk.js';
import { FILE_HEADER_BYTES } from './record-reader.js';
import { type OpenSlice, type ReadSettings, type Slice, withSlice } from './slice.js';

/** Memory that a sink may hold before it has to drain, whether it says that it is full or not. */
const MAX_LENT_BYTES = 8 * 1024 * 1024;

/** Gives the messages of a channel to a sink: as they lie in the files, unless they are encrypted. */
export class ChannelReader {
  readonly #messages: ChannelMessages;
  readonly #sink: MessageSink;
  readonly #settings: ReadSettings;
  readonly #opener: MessageOpener;
  #last = 0;

  constructor(messages: ChannelMessages, sink: MessageSink, settings: ReadSettings, opener: MessageOpener) {
    this.#messages = messages;
    this.#sink = sink;
    this.#settings = settings;
    this.#opener = opener;
  }

  /** @throws SourceError 'damaged', 'key' or 'in-use' */
  async read(): Promise<void> {
    const { slices, firstSlice, firstOffset, count } = this.#messages;
    if (count === 0) return;
    for (let i = firstSlice; i < slices.length; i++) {
      const from = i === firstSlice ? firstOffset : undefined;
      await withSlice(slices[i], this.#settings, (open) => this.#readSlice(slices[i], open, from));
    }
  }

  async #readSlice(slice: Slice, open: OpenSlice, from = FILE_HEADER_BYTES): Promise<void> {
    const { pool, crc, problems } = this.#settings;
    const walk = new MessageWalk({ ...open, crc, problems }, from);
    checkSize(slice, open.reader.size);
    for (let step = this.#give(walk, open, slice); step !== 'end'; step = this.#give(walk, open, slice)) {
      if (step === 'full' || pool.lentBytes >= MAX_LENT_BYTES) {
        await this.#sink.drain();
        pool.release(open.reader.buffer);
        this.#opener.release();
      }
      if (step === 'wait') await walk.resolve();
    }
    await this.#sink.drain();
    pool.release();
    this.#opener.release();
    checkSize(slice, await open.reader.sizeNow());
  }

  /** Gives what is in memory, as far as the sink takes it. */
  #give(walk: MessageWalk, { reader }: OpenSlice, { path, lastSequence }: Slice): 'wait' | 'full' | 'end' {
    const sink = this.#sink;
    const opener = this.#opener;
    const { message } = walk;
    while (!sink.isFull && !opener.isFull) {
      const step = walk.next();
      if (step !== 'message') return step;
      const { sequence, timestampMs } = message;
      const { buffer, payloadStart, payloadEnd } = reader;
      if (sequence <= this.#last || sequence > lastSequence) {
        const text = `message ${sequence} is out of order: ${this.#last} was before it, ${lastSequence} is the last one`;
        this.#settings.problems.damaged({ where: path, offset: reader.offset }, text);
        continue;
      }
      this.#last = sequence;
      if (message.isPlain && !opener.isNeeded(buffer, message)) {
        sink.message(buffer, payloadStart, payloadEnd, sequence, timestampMs);
        continue;
      }
      if (opener.open(buffer, message, { where: path, offset: reader.offset }))
        sink.message(opener.buffer, opener.start, opener.end, sequence, timestampMs);
    }
    return 'full';
  }
}

function checkSize({ path, fileBytes }: Slice, bytes: number): void {
  if (bytes !== fileBytes)
    throw new SourceError(
      'in-use',
      `${path} has changed while it was read: stop the old server before the import`,
    );
}
