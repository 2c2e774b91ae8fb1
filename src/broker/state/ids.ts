/** Numbers that the store has never seen before: they go on where those of the former broker ended. */
export class Ids {
  #nextSession: number;
  #nextSubscription: number;

  constructor(nextSession: number, nextSubscription: number) {
    this.#nextSession = nextSession;
    this.#nextSubscription = nextSubscription;
  }

  /** For a client's connection. */
  session(): number {
    return this.#nextSession++;
  }

  /** For a subscription or a queue group. */
  subscription(): number {
    return this.#nextSubscription++;
  }
}
