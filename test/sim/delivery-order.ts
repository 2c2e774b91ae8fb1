/** The sequences that came on one connection of the broker. */
interface Span {
  connection: number;
  lowest: number;
  highest: number;
}

/**
 * Checks the order in which one subscriber gets what is new. A term sends it in the order of the channel, and NATS keeps the
 * order of each connection. When the broker has moved to another NATS server, what it sent before may still be on its way, on
 * another one, and come late: nothing else may.
 */
export class DeliveryOrder {
  readonly #terms = new Map<string, Span[]>();

  /**
   * @param origin the lease that sent it. What another one gave out before may come again
   * @param connection those that are made later have higher numbers
   * @returns what is wrong, if anything is
   */
  arrived(sequence: number, origin: string, connection: number): string | undefined {
    const spans = this.#terms.get(origin) ?? [];
    this.#terms.set(origin, spans);
    let own: Span | undefined;
    let problem: string | undefined;
    for (const span of spans) {
      if (span.connection === connection) own = span;
      if (span.connection <= connection && sequence <= span.highest)
        problem = `${sequence} came as new after ${span.highest}, both from ${origin}`;
      if (span.connection > connection && sequence >= span.lowest)
        problem = `${sequence} came late and as new, and ${span.lowest} was sent after it, both from ${origin}`;
    }
    if (own === undefined) spans.push({ connection, lowest: sequence, highest: sequence });
    else {
      own.lowest = Math.min(own.lowest, sequence);
      own.highest = Math.max(own.highest, sequence);
    }
    return problem;
  }
}
