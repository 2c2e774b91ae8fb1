/**
 * Checks a word of a protocol line.
 *
 * @throws TypeError if it is empty or has blanks or line ends, by which it could become another command
 */
export function plainWord(text: string, what: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a word must not have them
  if (text === '' || /[\s\x00-\x20\x7f]/.test(text)) {
    throw new TypeError(`${JSON.stringify(text)} is not a NATS ${what}: it must not be empty or have blanks`);
  }
  return text;
}
