/** Series of one metric in Prometheus' text format, written as text: thousands of them cost little. */
export class TextMetric {
  readonly #pieces: string[] = [];
  #lines: string;
  #count = 0;

  constructor(
    readonly name: string,
    help: string,
    type: 'gauge' | 'counter',
  ) {
    this.#lines = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  /** @param labels as `labelText` makes them; '' for none */
  add(labels: string, value: number): void {
    this.#count++;
    this.#lines += labels === '' ? `${this.name} ${value}\n` : `${this.name}{${labels}} ${value}\n`;
    if (this.#lines.length >= PIECE_LENGTH) this.#endPiece();
  }

  /** All that has been added, in order. */
  pieces(): readonly string[] {
    if (this.#lines !== '') this.#endPiece();
    return this.#pieces;
  }

  /** All in one; '' if nothing has been added. */
  text(): string {
    return this.#count === 0 ? '' : this.pieces().join('');
  }

  #endPiece(): void {
    this.#pieces.push(this.#lines);
    this.#lines = '';
  }
}

const PIECE_LENGTH = 64 * 1024;

/** `name="value",...`: to be made once for all metrics that share the labels. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escapeValue(labels[name]!)}"`;
  return text;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
