/** A channel as its publishers know it. */
export interface LedgerChannel {
  /** 1, and one more each time that the channel is deleted and made again. */
  readonly generation: number;
  readonly first: number;
  readonly last: number;
}

/** What was acknowledged up to one moment. */
export interface LedgerState {
  readonly channels: ReadonlyMap<string, LedgerChannel>;
  readonly clients: ReadonlySet<string>;
  /** What is delivered and not acknowledged, ascending, by subscription. */
  readonly pending: ReadonlyMap<string, readonly number[]>;
}

/** What a history's clients have been told, commit by commit. */
export class Ledger {
  readonly states: LedgerState[] = [];
  /** What release 0.1.0 has put into a channel stands under other texts. */
  readonly formerTexts = new Map<string, readonly string[]>();

  get last(): LedgerState {
    return this.states.at(-1) ?? EMPTY;
  }

  acknowledged(state: LedgerState): void {
    this.states.push(state);
  }

  /** A message was handed to the store. Nothing is known of it yet. */
  appended(_channel: string, _generation: number, _sequence: number): void {}

  /** All that was handed to the store is to be written now: then this will be the state. */
  proposed(_state: LedgerState): void {}

  /** The text of a message: it follows from where it stands. */
  text(channel: string, generation: number, sequence: number): string {
    return (
      (generation === 1 ? this.formerTexts.get(channel)?.[sequence - 1] : undefined) ??
      textOf(channel, generation, sequence)
    );
  }
}

const EMPTY: LedgerState = { channels: new Map(), clients: new Set(), pending: new Map() };

/** Channels whose names begin with `big` have messages of 9 KB, and those with `huge` of 150 KB. */
export function textOf(channel: string, generation: number, sequence: number): string {
  const text = `${channel} ${generation}.${sequence}`;
  if (channel.startsWith('huge')) return text.padEnd(150_000, '.');
  return channel.startsWith('big') ? text.padEnd(9_000, '.') : text;
}

/** What a broker found when it opened the store. */
export interface FoundChannel {
  readonly first: number;
  readonly last: number;
  /** By sequence, from the first; an error where it cannot be read. */
  readonly texts: readonly (string | Error)[];
}

export interface FoundState {
  readonly channels: ReadonlyMap<string, FoundChannel>;
  readonly clients: ReadonlySet<string>;
  readonly pending: ReadonlyMap<string, readonly number[]>;
}

/** What is not as it was acknowledged. */
export interface Loss {
  readonly what: string;
  /** It cannot be read, and an error says so. */
  readonly isToldByReading: boolean;
  /** A sequence has another message than the one that was acknowledged under it. */
  readonly isWrong: boolean;
}

/** Compares what was found with what was acknowledged. More than that may be there: what a limit had dropped, or what was never acknowledged. */
export function losses(ledger: Ledger, expected: LedgerState, found: FoundState): Loss[] {
  const all: Loss[] = [];
  const lost = (what: string, isToldByReading = false, isWrong = false): void => {
    all.push({ what, isToldByReading, isWrong });
  };
  for (const [name, channel] of expected.channels) {
    const there = found.channels.get(name);
    if (there === undefined) {
      lost(`channel ${name} with messages ${channel.first} to ${channel.last} is gone`);
      continue;
    }
    if (there.last < channel.last)
      lost(`channel ${name} ends with message ${there.last} instead of ${channel.last}`);
    const isEmpty = channel.first > channel.last;
    if (there.first > channel.first && !isEmpty)
      lost(`channel ${name} begins with message ${there.first} instead of ${channel.first}`);
    for (let sequence = there.first; sequence <= Math.min(there.last, channel.last); sequence++) {
      const text = there.texts[sequence - there.first];
      if (text instanceof Error) {
        if (sequence >= channel.first)
          lost(`message ${sequence} of ${name} cannot be read: ${text.message}`, true);
        continue;
      }
      const right = ledger.text(name, channel.generation, sequence);
      if (text === right) continue;
      if (text !== undefined) {
        const is = `is "${text.slice(0, 30)}" instead of "${right.slice(0, 30)}"`;
        lost(`message ${sequence} of ${name} ${is}`, false, true);
      } else if (sequence >= channel.first) lost(`message ${sequence} of ${name} is not there`);
    }
  }
  for (const client of expected.clients) if (!found.clients.has(client)) lost(`client ${client} is gone`);
  for (const [subscription, pending] of expected.pending) {
    const there = found.pending.get(subscription);
    if (there === undefined) lost(`subscription ${subscription} is gone`);
    else if (there.join() !== pending.join())
      lost(`subscription ${subscription} has pending [${there.join()}] instead of [${pending.join()}]`);
  }
  // What was deleted and acknowledged has come back.
  for (const [name, { last }] of found.channels)
    if (!expected.channels.has(name))
      lost(`channel ${name} with ${last} messages, which was deleted, is back`);
  for (const client of found.clients)
    if (!expected.clients.has(client)) lost(`client ${client}, which was closed, is back`);
  for (const subscription of found.pending.keys())
    if (!expected.pending.has(subscription)) lost(`subscription ${subscription}, which was removed, is back`);
  return all;
}
