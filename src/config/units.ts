// Sizes and durations in text, as the NATS and Go servers write them.

/** As in the NATS configuration, a letter alone counts in thousands, and with a `B` or an `i` in 1024s. */
const SIZE_UNITS = new Map<string, number>(
  ['k', 'm', 'g', 't'].flatMap((letter, index): [string, number][] => [
    [letter, 1000 ** (index + 1)],
    [`${letter}b`, 1024 ** (index + 1)],
    [`${letter}i`, 1024 ** (index + 1)],
    [`${letter}ib`, 1024 ** (index + 1)],
  ]),
);
SIZE_UNITS.set('', 1).set('b', 1);

const DURATION_UNITS_MS = new Map<string, number>([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** The largest duration that Go can hold. */
const MAX_DURATION_MS = 292 * 365.25 * 24 * 3_600_000;

/** Error of a sum of fractions, far below a nanosecond. */
const ROUNDING_MS = 1e-9;

/**
 * Parses a number of bytes like `1024000000`, `10MB` or `1000000*1024`.
 *
 * @returns undefined if the text is no size
 */
export function parseSize(text: string): number | undefined {
  let product = 1;
  for (const factor of text.split('*')) {
    const match = /^\s*(\d+)\s*([a-z]*)\s*$/i.exec(factor);
    if (!match) return undefined;
    const unit = SIZE_UNITS.get(match[2].toLowerCase());
    if (unit === undefined) return undefined;
    product *= Number(match[1]) * unit;
  }
  return upToSafe(product);
}

/** Cuts a limit to a safe integer. The Go server counts in 64 bits; its largest number means no limit, and so does ours. */
export function upToSafe(value: number): number | undefined {
  return value > 2 ** 63 ? undefined : Math.min(value, Number.MAX_SAFE_INTEGER);
}

/**
 * Parses a duration in Go's notation: `1h30m`, `500ms`, `1.5s`, `0`.
 *
 * @returns whole milliseconds, rounded up so that a short time does not become 0; undefined if the text is no duration
 */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)[a-zµμ]+)+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)([a-zµμ]+)/g)) {
    const unitMs = DURATION_UNITS_MS.get(unit ?? '');
    if (unitMs === undefined) return undefined;
    total += Number(amount) * unitMs;
  }
  return total <= MAX_DURATION_MS ? Math.max(0, Math.ceil(total - ROUNDING_MS)) : undefined;
}
