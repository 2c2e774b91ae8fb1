import type { z } from 'zod';
import { MessageBlock } from '../types/message-block.js';
import type {
  MessageSink,
  SourceChannel,
  SourceClient,
  SourceState,
  SourceSubscription,
} from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import {
  type ChannelEntry,
  type Counts,
  type client as clientSchema,
  entry as entrySchema,
  FORMAT,
  header as headerSchema,
} from './line-format.js';
import type { LineProblems } from './line-problems.js';
import type { LineReader, ParsedLine } from './line-reader.js';
import { checkChannelName, type MessageFields, messageFields } from './parse-message.js';

/** What `stanchion export` has written. It is read in one pass. */
export class ExportedLines {
  readonly state: SourceState;
  readonly #reader: LineReader;
  readonly #problems: LineProblems;
  #messages = 0;

  private constructor(reader: LineReader, problems: LineProblems, state: SourceState) {
    this.#reader = reader;
    this.#problems = problems;
    this.state = state;
  }

  /** Reads everything before the first message. @param first the line with the header */
  static async open(
    name: string,
    reader: LineReader,
    problems: LineProblems,
    first: ParsedLine,
  ): Promise<ExportedLines> {
    const header = parsed(headerSchema, first.object, (what) => {
      throw new SourceError('damaged', `${name}: line ${first.number}: ${what}`);
    });
    if (header.format > FORMAT) {
      throw new SourceError(
        'unsupported',
        `${name} has format ${header.format}, and this stanchion reads up to ${FORMAT}: import it with stanchion ${header.version ?? 'of a newer version'}`,
      );
    }
    const entries = new Entries();
    let line = await reader.next();
    for (
      ;
      line !== undefined && !('subject' in line.object) && !('end' in line.object);
      line = await reader.next()
    ) {
      const { object } = line;
      reader.check(line.number, () => entries.add(object));
    }
    if (line !== undefined) reader.putBack(line);
    const { clients, channels } = entries;
    const found: Omit<Counts, 'messages'> = {
      clients: clients.length,
      channels: channels.size,
      subscriptions: [...channels.values()].reduce((sum, { subscriptions }) => sum + subscriptions.length, 0),
    };
    for (const what of ['clients', 'channels', 'subscriptions'] as const) {
      if (found[what] !== header[what])
        problems.loss(`it has ${found[what]} ${what}, and its header says ${header[what]}`);
    }
    const state = {
      ...{ clusterId: header.clusterId, subjects: undefined, clients },
      channels: [...channels.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
    return new ExportedLines(reader, problems, state);
  }

  /** Reads the messages of the next channel that has any: channels must be read in their order. */
  async read(channel: SourceChannel, sink: MessageSink): Promise<void> {
    const reader = this.#reader;
    const subject = Buffer.from(channel.name);
    const block = new MessageBlock(sink);
    let last = channel.firstSequence - 1;
    for (;;) {
      const line = await reader.next();
      if (line === undefined || 'end' in line.object || line.object.subject !== channel.name) {
        if (line !== undefined) reader.putBack(line);
        break;
      }
      const message = reader.check(line.number, () => dueMessage(line, last + 1, channel));
      if (message === undefined) continue;
      const { sequence } = message;
      last = sequence;
      this.#messages++;
      const { reply, data, timestampNs } = message;
      const full = block.add({ sequence, subject, reply, data, timestampNs });
      if (full !== undefined) await full;
    }
    await block.drain();
    if (channel === this.state.channels.at(-1)) await this.#end();
  }

  close(): void {
    this.#reader.close();
  }

  /** Reads what follows the messages of the last channel. */
  async #end(): Promise<void> {
    for (let line = await this.#reader.next(); line !== undefined; line = await this.#reader.next()) {
      const { object, number } = line;
      if (!('end' in object)) {
        this.#problems.loss(
          `line ${number}: a message of channel ${JSON.stringify(object.subject)} comes here, which is not there, or before others of its channel: each channel's messages follow each other, in the order of the channels`,
        );
        continue;
      }
      const end = this.#reader.check(number, () => parsed(entrySchema, object, thrown));
      if (end !== undefined && 'end' in end && end.end.messages !== this.#messages) {
        this.#problems.loss(
          `it has ${this.#messages} messages, and says at its end that there are ${end.end.messages}`,
        );
      }
      return;
    }
    this.#problems.loss(
      `it has no end line: it was cut behind ${this.#messages} messages, or the export did not come to its end`,
    );
  }
}

/** What stands before the messages. */
class Entries {
  readonly clients: SourceClient[] = [];
  readonly channels = new Map<string, SourceChannel & { subscriptions: SourceSubscription[] }>();

  add(object: ParsedLine['object']): void {
    const entry = parsed(entrySchema, object, thrown);
    if ('client' in entry) this.clients.push(clientOf(entry.client));
    else if ('channel' in entry) this.#addChannel(entry.channel);
    else if ('subscription' in entry) {
      const { channel: name, ...subscription } = entry.subscription;
      const channel = this.channels.get(name);
      if (channel === undefined) throw new Error(`there is no channel "${name}"`);
      checkAscending(subscription.pending);
      channel.subscriptions.push(subscription);
    }
  }

  #addChannel(channel: ChannelEntry): void {
    const { name, firstSequence: first, lastSequence: last, messages } = channel;
    checkChannelName(name);
    if (this.channels.has(name)) throw new Error(`channel "${name}" is there twice`);
    if (first > last + 1 || messages > last - first + 1)
      throw new Error(`channel "${name}" has ${messages} messages, and bounds from ${first} to ${last}`);
    this.channels.set(name, { ...channel, subscriptions: [] });
  }
}

type DueMessage = MessageFields & { sequence: number; timestampNs: bigint };

function dueMessage({ object }: ParsedLine, least: number, { lastSequence }: SourceChannel): DueMessage {
  const message = messageFields(object);
  const { sequence, timestampNs } = message;
  if (sequence === undefined || timestampNs === undefined)
    throw new Error('a message of an export has "sequence" and "timestamp"');
  if (sequence < least || sequence > lastSequence)
    throw new Error(`message ${sequence} comes here, and one from ${least} to ${lastSequence} is due`);
  return { ...message, sequence, timestampNs };
}

function clientOf({ connId, connIdBase64, ...client }: z.infer<typeof clientSchema>): SourceClient {
  const bytes = connIdBase64 === undefined ? Buffer.from(connId ?? '') : Buffer.from(connIdBase64, 'base64');
  return { ...client, connId: bytes };
}

function checkAscending(pending: readonly number[]): void {
  for (let i = 1; i < pending.length; i++) {
    if ((pending[i] ?? 0) <= (pending[i - 1] ?? 0))
      throw new Error('its pending messages are not in ascending order');
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, fail: (what: string) => never): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.join('.') ?? '';
  return fail(path === '' ? 'it is no line of an export' : `"${path}": ${issue?.message}`);
}

function thrown(what: string): never {
  throw new Error(what);
}
