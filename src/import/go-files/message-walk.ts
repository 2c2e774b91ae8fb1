import type { ProblemList } from '../go-state/problem-list.js';
import { StoredMessage } from '../go-wire/stored-message.js';
import type { MessageIndex } from './message-index.js';
import { RECORD_HEADER_BYTES, type RecordCrc, type RecordReader, type RecordStep } from './record-reader.js';
import { type FoundRecord, findRecord } from './record-search.js';

/** What a walk needs to know of the data file. */
export interface WalkedFile {
  readonly reader: RecordReader;
  /** Where the index ends, if there is one that can be used: what is behind was never served. */
  readonly index: MessageIndex | undefined;
  readonly indexEnd: number;
  /** Parts of the file that hold nothing: [start, end, start, end, ...], ascending. */
  readonly holes: readonly number[];
  /** Undefined if CRCs are not checked: without an index, nothing is found again behind a bad record then. */
  readonly crc: RecordCrc | undefined;
  readonly problems: ProblemList;
}

/**
 * Goes through the messages of a data file from an offset on. What is damaged ends the import, or is skipped and noted by a lenient one.
 * `next` is synchronous, for speed; what it cannot do at once, `resolve` does.
 */
export class MessageWalk {
  readonly message = new StoredMessage();
  readonly #file: WalkedFile;
  #step: RecordStep | 'undecodable' = 'more';
  #nextHole: number;
  #holeAt = 0;
  #isAtEnd = false;
  #lastSequence = 0;

  constructor(file: WalkedFile, offset: number) {
    this.#file = file;
    file.reader.seek(offset);
    while (this.#holeAt < file.holes.length && file.holes[this.#holeAt] < offset) this.#holeAt += 2;
    this.#nextHole = file.holes[this.#holeAt] ?? Infinity;
  }

  /** @returns 'message' if the reader and `message` are at one, 'wait' if `resolve` must be awaited first */
  next(): 'message' | 'wait' | 'end' {
    const { reader } = this.#file;
    if (this.#isAtEnd) return 'end';
    if (reader.nextOffset >= this.#nextHole) this.#skipHoles();
    const step = reader.next();
    if (step === 'record') {
      if (this.message.decode(reader.buffer, reader.payloadStart, reader.payloadEnd)) {
        this.#lastSequence = this.message.sequence;
        return 'message';
      }
      reader.seek(reader.offset);
      this.#step = 'undecodable';
      return 'wait';
    }
    if (step === 'end') {
      this.#isAtEnd = true;
      return 'end';
    }
    this.#step = step;
    return 'wait';
  }

  /** Reads on, or gets past what is damaged. */
  async resolve(): Promise<void> {
    if (this.#step === 'more') await this.#file.reader.more();
    else await this.#getPast(this.#step);
  }

  #skipHoles(): void {
    const { reader, holes } = this.#file;
    while (reader.nextOffset >= this.#nextHole) {
      reader.seek(Math.max(reader.nextOffset, holes[this.#holeAt + 1]));
      this.#holeAt += 2;
      this.#nextHole = holes[this.#holeAt] ?? Infinity;
    }
  }

  async #getPast(step: RecordStep | 'undecodable'): Promise<void> {
    const { reader, problems, indexEnd } = this.#file;
    const place = { where: reader.path, offset: reader.offset };
    if (step === 'zeros' && (await reader.hasOnlyZeros())) {
      this.#isAtEnd = true;
      return;
    }
    if (indexEnd > 0 && reader.offset >= indexEnd) {
      problems.note(
        place,
        `${TROUBLE[step]}, behind the last message of the index: the old server does not look at it`,
      );
      this.#isAtEnd = true;
      return;
    }
    if (step === 'torn' && reader.size - reader.offset === RECORD_HEADER_BYTES) {
      problems.note(
        place,
        'the file ends behind the header of a record: the old server takes it for the end',
      );
      this.#isAtEnd = true;
      return;
    }
    if (!problems.isLenient) problems.damaged(place, TROUBLE[step]);
    await this.#skipDamage(TROUBLE[step]);
  }

  async #skipDamage(trouble: string): Promise<void> {
    const { reader, problems } = this.#file;
    const place = { where: reader.path, offset: reader.offset };
    const found = await this.#findNext();
    if (found === undefined) {
      problems.damaged(place, `${trouble}; no message is found behind it in this file`);
      this.#isAtEnd = true;
      return;
    }
    const lost = `messages ${this.#lastSequence + 1} to ${found.sequence - 1}`;
    const what = this.#lastSequence === 0 ? `messages before ${found.sequence}` : lost;
    problems.damaged(place, `${trouble}; ${what} are lost, reading goes on at byte ${found.offset}`);
    reader.seek(found.offset);
  }

  async #findNext(): Promise<FoundRecord | undefined> {
    const { reader, index, indexEnd, crc, problems } = this.#file;
    if (index !== undefined && reader.offset < indexEnd) {
      if (!(await index.findBehind(reader.offset))) return undefined;
      return { offset: index.offset, sequence: index.sequence };
    }
    return crc === undefined
      ? undefined
      : findRecord(reader.path, crc, problems, reader.offset + 1, this.#lastSequence);
  }
}

const TROUBLE: Readonly<Record<RecordStep | 'undecodable', string>> = {
  record: 'there is a record',
  more: 'there is more to read',
  end: 'the file ends',
  zeros: 'there are zeros with data behind them, where the old server would cut the file',
  torn: 'a record is cut off by the end of the file, or its size is wrong',
  bad: 'the size or CRC of a record is wrong',
  undecodable: 'a record with a right CRC is no message',
};
