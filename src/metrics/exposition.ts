/** The series of one metric in Prometheus' text format. As text, thousands of them cost little. */
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

  /** @param labels the result of `labelText`; '' for none */
  add(labels: string, value: number): void {
    this.#count++;
    this.#lines += labels === '' ? `${this.name} ${value}\n` : `${this.name}{${labels}} ${value}\n`;
    if (this.#lines.length >= PIECE_LENGTH) this.#endPiece();
  }

  /** The text in pieces, in the order of the samples. */
  pieces(): readonly string[] {
    if (this.#lines !== '') this.#endPiece();
    return this.#pieces;
  }

  /** The whole text; '' if there are no samples. */
  text(): string {
    return this.#count === 0 ? '' : this.pieces().join('');
  }

  #endPiece(): void {
    this.#pieces.push(this.#lines);
    this.#lines = '';
  }
}

const PIECE_LENGTH = 64 * 1024;

/** The labels as `name="value",...`. Make this text once for all metrics that share the labels. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escapeValue(labels[name])}"`;
  return text;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
