import type { Run } from './run-figures.js';

const DIGITS = 5;

/** A round of a side in a line each, with the digits that say something. */
export function runText(run: Run): string {
  const text = JSON.stringify(
    run,
    (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value),
    1,
  );
  // A round's figures are an object of numbers alone.
  return `${text.replace(/\{[^{}[\]"]*("\w+": [\d.e+-]+,?\s*)+\}/g, (round) => round.replace(/\s+/g, ' '))}\n`;
}
