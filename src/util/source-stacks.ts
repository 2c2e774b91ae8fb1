// Stack traces of the bundled program: they name the sources, which people can look up, not the files of the bundle.

import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Limit of places whose source is remembered. */
const MAX_PLACES = 1_000;
/** Where a frame is: a file, a line and a column, counted from 1. */
const PLACE = /(file:\/\/[^\s()]+?):(\d+):(\d+)/;
const OUT_OF_THE_FOLDER = /^(?:\.\.\/)+/;

/**
 * Lets the stack traces of this thread name sources, as `src/broker/broker.ts:12:3`, wherever a source map lies beside a file. Node can do
 * that too, but it reads every map at the start and keeps them all: a start would take longer, and the process would be megabytes larger.
 */
export function nameSourcesInStacks(): void {
  const known = new Map<string, string>();
  Error.prepareStackTrace = (error, frames) => {
    // They are large, and errors are rare: none is kept.
    const maps = new Map<string, SourceMap | undefined>();
    const named = frames.map((frame) => {
      const text = String(frame);
      const [place, file, line, column] = PLACE.exec(text) ?? [];
      if (place === undefined || file === undefined) return text;
      let source = known.get(place);
      if (source === undefined) {
        if (!maps.has(file)) maps.set(file, mapOf(file));
        source = sourceOf(maps.get(file), Number(line), Number(column)) ?? place;
        if (known.size < MAX_PLACES) known.set(place, source);
      }
      return text.replace(place, () => source);
    });
    return [headOf(error), ...named.map((text) => `    at ${text}`)].join('\n');
  };
}

function mapOf(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(file)}.map`, 'utf8')));
  } catch {
    // There is none, or it is damaged: then the place in the bundle has to do.
    return undefined;
  }
}

function sourceOf(map: SourceMap | undefined, line: number, column: number): string | undefined {
  const entry = map?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return undefined;
  const { originalSource, originalLine, originalColumn } = entry;
  return `${originalSource.replace(OUT_OF_THE_FOLDER, '')}:${originalLine + 1}:${originalColumn + 1}`;
}

/** What is thrown may be anything, and may throw where it is to become a text. */
function headOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'Error';
  }
}
