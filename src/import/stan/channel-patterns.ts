/** Channel names and patterns of them: `*` stands for one part between dots, `>` at the end for all that follow. */
export class ChannelPatterns {
  /** Those that are names. */
  readonly names: readonly string[];
  /** Those that are not. */
  readonly wildcards: readonly string[];
  readonly #parts: readonly string[][];

  constructor(patterns: readonly string[]) {
    this.wildcards = patterns.filter((pattern) =>
      pattern.split('.').some((part) => part === '*' || part === '>'),
    );
    this.names = patterns.filter((pattern) => !this.wildcards.includes(pattern));
    this.#parts = patterns.map((pattern) => pattern.split('.'));
  }

  matches(name: string): boolean {
    const parts = name.split('.');
    return this.#parts.some((pattern) => isMatch(pattern, parts));
  }
}

function isMatch(pattern: readonly string[], parts: readonly string[]): boolean {
  for (const [index, part] of pattern.entries()) {
    if (part === '>' && index === pattern.length - 1) return parts.length > index;
    if (parts[index] === undefined || (part !== '*' && part !== parts[index])) return false;
  }
  return pattern.length === parts.length;
}
