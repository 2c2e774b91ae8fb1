/** Three digits that count, in groups of three: a fourth is noise. */
export function rate(value: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 2);
  return (Math.round(value / unit) * unit).toLocaleString('en-US');
}

export function times(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0);
}

export function percent(value: number): string {
  return `${Math.round(value * 100)}%`;
}

export function micros(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

export function megabytes(value: number): string {
  return `${Math.round(value / 1e6)} MB`;
}

export function hundredths(value: number): string {
  return value.toFixed(2);
}

/** A table in Markdown: the first column is text, the others are numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}
