// Text from outside, such as the names of channels and clients, made safe for a terminal and for a line of a log.

/**
 * What a terminal obeys instead of showing it, what ends a line, what turns the direction of the text or is invisible, and halves of
 * characters.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** In a text of several lines newlines and tabs are no harm, nor is what joins the parts of an emoji. */
const UNSAFE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const SHORT: Readonly<Record<string, string | undefined>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A name as one line that shows all of it: an escape sequence becomes `\u001b[2J`, a newline `\n`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** A text of several lines, in which newlines and tabs stay as they are. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE_IN_LINES, escaped);
}

function escaped(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}
