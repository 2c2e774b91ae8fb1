// Checks of the fields of an object that another process has sent: each is in its range, or the object does not count.

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength;
}

/** Control characters, which would change what a terminal or a log shows. */
const CONTROL = /\p{Cc}/u;

/** Whether it is a text for one line: a name, a path. */
export function isLine(value: unknown, maxLength: number): value is string {
  return isText(value, maxLength) && !CONTROL.test(value);
}

/** Whether it is a whole number from 0 on that a double has exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Whether it is a number within these bounds: not NaN, not infinite. */
export function isWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max;
}

/** Whether it is a list of at most so many values that all pass. */
export function isListOf<T>(
  value: unknown,
  maxLength: number,
  isOne: (item: unknown) => item is T,
): value is T[] {
  return Array.isArray(value) && value.length <= maxLength && value.every(isOne);
}
