/** Processes of members that are remembered at a time. */
export const MAX_SENDERS = 64;

/**
 * How a proved message stands: `fresh` counts; `early` is by a process that has not heard this one yet, or a recording from before this
 * process; `repeated` was heard before, or is older than one that was.
 */
export type Standing = 'fresh' | 'early' | 'repeated';

/** The fields of a message that tell a new one from a recording. */
export interface Freshness {
  /** The sending process, by a random name. */
  readonly boot: string;
  /** Which of the challenges of that process is the present one. */
  readonly round: number;
  /** The number of the message: it grows with each that the process sends. */
  readonly count: number;
  /** The challenges of other processes that the sender has heard. */
  readonly heard: readonly string[];
}

interface Sender {
  /** The number of its last message. */
  count: number;
  round: number;
  heardMs: number;
  /** Whether one of its messages had a challenge of this process: from then on its numbers say what is new. */
  hasHeardUs: boolean;
}

/**
 * The processes whose messages are proved. A recording of such a message is proved too. So each message has a number that only grows,
 * and the challenges of all processes that its sender has heard: a message with the challenge of this process was made in the lifetime
 * of this process, even if another process sends it again.
 */
export class Senders {
  readonly #senders = new Map<string, Sender>();
  readonly #boot: string;
  #round = 0;
  #count = 0;
  /** The number of the last own message that has come back. */
  #ownCount = 0;

  /** @param boot a random name of this process */
  constructor(boot: string) {
    this.#boot = boot;
  }

  /** The fields of the next message of this process. */
  next(): Freshness {
    const heard = [...this.#senders].map(([boot, { round }]) => challenge(boot, round));
    return { boot: this.#boot, round: this.#round, count: ++this.#count, heard };
  }

  /** Notes a message of this process that has come back. @returns whether it is new */
  own({ boot, count }: Pick<Freshness, 'boot' | 'count'>): boolean {
    if (boot !== this.#boot || count <= this.#ownCount || count > this.#count) return false;
    this.#ownCount = count;
    return true;
  }

  /** Notes a proved message of another process. */
  note({ boot, round, count, heard }: Freshness, nowMs: number): Standing {
    const known = this.#senders.get(boot);
    if (known !== undefined && count <= known.count) return 'repeated';
    const sender = known ?? this.#add(boot);
    Object.assign(sender, { count, round, heardMs: nowMs });
    sender.hasHeardUs ||= heard.includes(challenge(this.#boot, this.#round));
    return sender.hasHeardUs ? 'fresh' : 'early';
  }

  #add(boot: string): Sender {
    if (this.#senders.size >= MAX_SENDERS) this.#forgetOne();
    const sender = { count: 0, round: 0, heardMs: 0, hasHeardUs: false };
    this.#senders.set(boot, sender);
    return sender;
  }

  /** Recordings of former processes go first. */
  #forgetOne(): void {
    let worst: [boot: string, sender: Sender] | undefined;
    for (const entry of this.#senders) {
      if (worst === undefined || isWorse(entry[1], worst[1])) worst = entry;
    }
    if (worst === undefined) return;
    this.#senders.delete(worst[0]);
    // Its last number is forgotten too: with another challenge, recordings of it are early.
    if (worst[1].hasHeardUs) this.#round++;
  }
}

function challenge(boot: string, round: number): string {
  return `${boot}-${round}`;
}

function isWorse(one: Sender, other: Sender): boolean {
  return one.hasHeardUs === other.hasHeardUs ? one.heardMs < other.heardMs : other.hasHeardUs;
}
