// Freshness: whether the page is up to date. It has its own timer, since a paused broker sends nothing.

/** The broker counts as silent after this time without a beat. Beats come every second. */
const SILENCE_MS = 3_000;
/** The data count as old after this time without a sample. Samples come every two seconds. */
const STUCK_MS = 8_000;
const CHECK_MS = 500;

export class Freshness {
  #heardMs = Date.now();
  #startedMs = Date.now();
  #sampledMs;
  #onStale;

  /** @param {(stale: { isSilent: boolean, forMs: number, asOfMs: number | undefined }) => void} onStale called again and again while the page is out of date */
  constructor(onStale) {
    this.#onStale = onStale;
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** Notes a sign of life of the broker. */
  beat() {
    this.#heardMs = Date.now();
  }

  /** Notes new data. */
  sample() {
    this.#heardMs = this.#sampledMs = Date.now();
  }

  #check() {
    const nowMs = Date.now();
    const isSilent = nowMs - this.#heardMs > SILENCE_MS;
    const sampledMs = this.#sampledMs ?? this.#startedMs;
    if (!isSilent && nowMs - sampledMs <= STUCK_MS) return;
    const forMs = nowMs - (isSilent ? this.#heardMs : sampledMs);
    this.#onStale({ isSilent, forMs, asOfMs: this.#sampledMs });
  }
}
