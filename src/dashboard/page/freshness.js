// Whether what the page shows still holds. By its own timer: a broker that stands still does not say so.

/** Without a word. Beats come every second. */
const SILENCE_MS = 3_000;
/** Without a sample, from a broker that still beats. They come every two seconds. */
const STUCK_MS = 8_000;
const CHECK_MS = 500;

export class Freshness {
  #heardMs = Date.now();
  #startedMs = Date.now();
  #sampledMs;
  #onStale;

  /** @param {(stale: { isSilent: boolean, forMs: number, asOfMs: number | undefined }) => void} onStale again and again while it lasts */
  constructor(onStale) {
    this.#onStale = onStale;
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** The broker is there. */
  beat() {
    this.#heardMs = Date.now();
  }

  /** It has told what is to be shown. */
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
