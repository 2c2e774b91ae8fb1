/**
 * A word of a protocol line.
 * @throws TypeError if it is none: it would be another line
 */
export function plainWord(text: string, what: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
  if (text === '' || /[\s\x00-\x20\x7f]/.test(text)) {
    throw new TypeError(
      `${JSON.stringify(text)} is no NATS ${what}: it must not be empty and have no blanks`,
    );
  }
  return text;
}
