import type { Calm } from './calm.js';
import type { Story } from './chaos-log.js';
import type { Ledger, Shown } from './ledger.js';

/** What one subscription got: of a queue group all its members together. */
export class Receipt {
  readonly name: string;
  readonly channel: string;
  again = 0;
  readonly #got = new Set<number>();
  /** When the last ack of a message went out. */
  readonly #acked = new Map<number, number>();
  readonly #ledger: Ledger;
  readonly #calm: Calm;
  readonly #story: Story;

  constructor(name: string, channel: string, parts: { ledger: Ledger; calm: Calm; story: Story }) {
    this.name = name;
    this.channel = channel;
    this.#ledger = parts.ledger;
    this.#calm = parts.calm;
    this.#story = parts.story;
  }

  get count(): number {
    return this.#got.size;
  }

  get(shown: Shown): void {
    const { sequence } = shown;
    this.#ledger.see(this.channel, shown, this.name);
    if (this.#got.has(sequence)) this.again++;
    this.#got.add(sequence);
    const acked = this.#acked.get(sequence);
    if (acked !== undefined && acked < this.#calm.settledUntilMs)
      this.#story.violate(
        `${this.name} gets ${sequence} of ${this.channel} again, ${Math.round(performance.now() - acked)} ms after its last ack`,
      );
  }

  ack(sequence: number): void {
    this.#acked.set(sequence, performance.now());
  }

  /** @returns sequences up to `last` that never came */
  missing(last: number): number[] {
    const missing: number[] = [];
    for (let sequence = 1; sequence <= last; sequence++) if (!this.#got.has(sequence)) missing.push(sequence);
    return missing;
  }
}
