// The configuration syntax of the NATS servers: `name value`, `name: value`, `name = value`, maps, arrays, comments, includes, and
// variables, which are values that stand earlier in the file, or in the environment.

import { dirname, join } from 'node:path';
import type { Environment } from '../env.js';
import { Cursor } from './cursor.js';
import type { NatsEntry, NatsFile, NatsInclude, NatsItem, NatsMap, NatsStatement } from './node.js';
import { readScalar, Variable } from './scalar.js';

const MAX_DEPTH = 100;
const MAX_INCLUDES = 100;
/** Characters of a file with its includes. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** What a parser needs from outside. */
export interface NatsSources {
  readonly env: Environment;
  /** Reads a file. @throws Error if it cannot be read */
  readFile(path: string): string;
  /** Whether only the syntax counts: a variable without a value and a file that cannot be read are empty. */
  readonly isDraft?: boolean;
}

/** What the parsers of a file, its includes and its variables share. */
interface Shared extends NatsSources {
  charactersLeft: number;
  includesLeft: number;
  /** The files that are being read, outermost first. */
  readonly open: string[];
  /** The environment variables that are being read. */
  readonly variables: Set<string>;
  /** Whether there was a variable or an include. */
  hasReferences: boolean;
}

/**
 * Parses a file.
 *
 * @throws NatsSyntaxError naming file, line and column
 */
export function parseNats(
  path: string,
  text: string,
  sources: NatsSources,
): NatsFile & { hasReferences: boolean } {
  const shared: Shared = {
    ...sources,
    charactersLeft: MAX_CHARACTERS,
    includesLeft: MAX_INCLUDES,
    open: [path],
    variables: new Set(),
    hasReferences: false,
  };
  const file = new Parser(path, text, shared).parse();
  return { ...file, hasReferences: shared.hasReferences };
}

class Parser {
  readonly #cursor: Cursor;
  readonly #shared: Shared;
  /** The maps around the place, outermost first. */
  readonly #scopes: NatsMap[] = [];
  readonly #statements: NatsStatement[] = [];
  readonly #includes: NatsInclude[] = [];
  /** The name at the top of the file that is being read. */
  #topName = '';
  #depth = 0;
  /** The open braces around the whole file. */
  #braces = 0;

  constructor(path: string, text: string, shared: Shared) {
    this.#cursor = new Cursor(path, text);
    this.#shared = shared;
    shared.charactersLeft -= text.length;
    if (shared.charactersLeft < 0)
      throw this.#cursor.error(`with its includes it has more than ${MAX_CHARACTERS} characters`);
  }

  parse(): NatsFile {
    const cursor = this.#cursor;
    const entries: NatsMap = new Map();
    this.#scopes.push(entries);
    for (;;) {
      this.#skipSpaceAndComments();
      if (cursor.isAtEnd) break;
      // A file in JSON has braces around everything.
      if (cursor.take('{')) this.#braces++;
      else if (this.#braces > 0 && cursor.take('}')) this.#braces--;
      else if (this.#braces > 0 && /[;,]/.test(cursor.char)) cursor.position++;
      else if (this.#isStrayBrace()) break;
      else this.#entry(entries, true);
    }
    const { path, text } = cursor;
    return { path, text, entries, statements: this.#statements, includes: this.#includes };
  }

  /** A brace too many at the end of a file does no harm. */
  #isStrayBrace(): boolean {
    return this.#cursor.match(/\}(?=\s*$)/y) !== '';
  }

  /** Reads one entry, or one include, and what separates it from the next one. */
  #entry(map: NatsMap, isTop: boolean): void {
    const cursor = this.#cursor;
    const start = cursor.position;
    const place = cursor.place();
    const { name, isQuoted } = this.#name();
    if (!isQuoted && name.toLowerCase() === 'include' && /[ \t]/.test(cursor.char)) {
      const file = this.#include();
      for (const entry of file.entries.values()) put(map, entry);
      const end = this.#endOfEntry(isTop);
      if (isTop) this.#statements.push({ kind: 'include', file, start, end });
      return;
    }
    if (isTop) this.#topName = name;
    this.#separator(isTop);
    put(map, { ...this.#item(), name, place, replaces: undefined, users: new Set() });
    const end = this.#endOfEntry(isTop);
    if (isTop) this.#statements.push({ kind: 'entry', name, start, end });
  }

  #name(): { name: string; isQuoted: boolean } {
    const cursor = this.#cursor;
    for (const quote of ['"', "'"]) {
      const start = cursor.position;
      if (!cursor.take(quote)) continue;
      const name = cursor.match(quote === '"' ? /[^"]*/y : /[^']*/y);
      if (!cursor.take(quote)) throw cursor.error('the quote around a name is not closed', start);
      return { name, isQuoted: true };
    }
    if (/[=:]/.test(cursor.char)) throw cursor.error(`a name is missing before "${cursor.char}"`);
    if (cursor.char === ']') throw cursor.error('a name was expected, not "]"');
    return { name: cursor.match(/[^\s=:]+/y), isQuoted: false };
  }

  /** Passes what stands between a name and its value: white space, or `=` or `:` with white space around it. */
  #separator(isTop: boolean): void {
    const cursor = this.#cursor;
    const start = cursor.position;
    cursor.skipSpace();
    if (cursor.take('=') || cursor.take(':')) {
      if (!isTop) cursor.skipSpace();
      cursor.skipBlanks();
      if (cursor.isAtNewline()) throw cursor.error('a value was expected, not the end of the line');
    } else if (cursor.isAtEnd) throw cursor.error('a name has no value', start);
    if (!isTop && cursor.char === '}') throw cursor.error('a value was expected, not "}"');
  }

  #item(): NatsItem {
    const cursor = this.#cursor;
    const start = cursor.position;
    const place = cursor.place();
    if (cursor.char === '{' || cursor.char === '[') {
      if (++this.#depth > MAX_DEPTH)
        throw cursor.error(`more than ${MAX_DEPTH} maps and arrays lie in each other`);
      cursor.position++;
      const value = cursor.text.charAt(start) === '{' ? this.#map(start) : this.#array(start);
      this.#depth--;
      return { value, raw: '', place };
    }
    const scalar = readScalar(cursor);
    const raw = cursor.text.slice(start, cursor.position);
    if (!(scalar instanceof Variable)) return { value: scalar, raw, place };
    const found = this.#lookUp(scalar.name, start);
    return { value: found.value, raw: found.raw, place };
  }

  /** Reads the rest of a map. @param start position of its brace */
  #map(start: number): NatsMap {
    const cursor = this.#cursor;
    const map: NatsMap = new Map();
    this.#scopes.push(map);
    for (;;) {
      this.#skipSpaceAndComments();
      if (cursor.take('}')) break;
      if (cursor.isAtEnd) throw cursor.error('a { is not closed', start);
      this.#entry(map, false);
    }
    this.#scopes.pop();
    return map;
  }

  /** Reads the rest of an array. @param start position of its bracket */
  #array(start: number): NatsItem[] {
    const cursor = this.#cursor;
    const items: NatsItem[] = [];
    for (;;) {
      this.#skipSpaceAndComments();
      if (cursor.take(']')) return items;
      if (cursor.isAtEnd) throw cursor.error('a [ is not closed', start);
      if (cursor.char === ',') throw cursor.error('a value was expected, not ","');
      items.push(this.#item());
      cursor.skipBlanks();
      const isEnd = cursor.skipComment() || cursor.isAtNewline() || cursor.char === ']' || cursor.take(',');
      if (isEnd) continue;
      if (cursor.isAtEnd) throw cursor.error('a [ is not closed', start);
      throw cursor.error('a comma, the end of the line, or "]" was expected behind a value');
    }
  }

  /** Passes what ends an entry. @returns the position behind it */
  #endOfEntry(isTop: boolean): number {
    const cursor = this.#cursor;
    const valueEnd = cursor.position;
    cursor.skipBlanks();
    if (/[;,]/.test(cursor.char)) return ++cursor.position;
    // A brace too many does no harm.
    if (isTop && this.#braces === 0 && cursor.take('}')) return cursor.position;
    const isEnd =
      cursor.isAtEnd ||
      cursor.isAtNewline() ||
      cursor.char === '}' ||
      cursor.skipComment() ||
      cursor.isAtSpace();
    if (!isEnd)
      throw cursor.error(
        `the end of the line, a comma, ${isTop ? '' : '"}" '}or a comment was expected behind a value`,
      );
    return valueEnd;
  }

  #include(): NatsFile {
    const cursor = this.#cursor;
    const shared = this.#shared;
    cursor.skipBlanks();
    const start = cursor.position;
    if (/[[{(\d\-\\\n\r]/.test(cursor.char) || cursor.isAtEnd)
      throw cursor.error('the path of a file was expected behind include');
    let path: string;
    if (cursor.take('"') || cursor.take("'")) {
      const quote = cursor.text.charAt(start);
      path = cursor.match(quote === '"' ? /[^"]*/y : /[^']*/y);
      if (!cursor.take(quote)) throw cursor.error('the quote around a path is not closed', start);
    } else {
      path = cursor.match(/[^\s;}']*/y);
      cursor.take("'");
    }
    shared.hasReferences = true;
    if (shared.includesLeft-- <= 0) throw cursor.error(`more than ${MAX_INCLUDES} files are included`, start);
    const file = join(dirname(cursor.path), path);
    this.#includes.push({ start, end: cursor.position, path: file });
    if (shared.open.includes(file)) throw cursor.error(`${file} includes itself`, start);
    let text: string;
    try {
      text = shared.readFile(file);
    } catch (error) {
      if (!shared.isDraft)
        throw cursor.error(`cannot read ${file}: ${error instanceof Error ? error.message : error}`, start);
      text = '';
    }
    shared.open.push(file);
    const found = new Parser(file, text, shared).parse();
    shared.open.pop();
    return found;
  }

  /** Finds the value of a variable: in the maps around it from the inside, else in the environment. */
  #lookUp(name: string, start: number): Pick<NatsItem, 'value' | 'raw'> {
    this.#shared.hasReferences = true;
    for (const scope of this.#scopes.toReversed()) {
      const entry = scope.get(name);
      if (entry === undefined) continue;
      entry.users.add(this.#topName);
      return entry;
    }
    const { env, variables, isDraft } = this.#shared;
    const text = env[name];
    if (text === undefined && isDraft) return { value: '', raw: '' };
    if (text === undefined)
      throw this.#cursor.error(
        `there is no value for $${name}: neither above it in the file, nor in the environment`,
        start,
      );
    if (variables.has(name))
      throw this.#cursor.error(`the environment variable ${name} refers to itself`, start);
    variables.add(name);
    const parser = new Parser(`environment variable ${name}`, `value=${text}`, this.#shared);
    const entry = parser.parse().entries.get('value');
    variables.delete(name);
    if (entry === undefined) throw this.#cursor.error(`the environment variable ${name} has no value`, start);
    return entry;
  }

  #skipSpaceAndComments(): void {
    do this.#cursor.skipSpace();
    while (this.#cursor.skipComment());
  }
}

/** Adds an entry to a map. The later one counts, and is the last in the order. */
function put(map: NatsMap, entry: NatsEntry): void {
  const replaces = map.get(entry.name);
  map.delete(entry.name);
  map.set(entry.name, replaces === undefined ? entry : { ...entry, replaces });
}
