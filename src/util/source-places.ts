// Places in the bundled program, as stack traces have them: people get those in the sources, which they can look up.

import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Limit of places that are remembered. */
const MAX_KNOWN = 1_000;
/** A file, a line and a column, counted from 1. */
const PLACE = /(file:\/\/[^\s()"\\]+?\.js):(\d+):(\d+)/g;
const OUT_OF_THE_FOLDER = /^(?:\.\.\/)+/;

const known = new Map<string, string>();

/**
 * Names the sources in a text, as `src/broker/broker.ts:12:3`, wherever a source map lies beside the file. It is called for texts that are
 * printed: the maps are large. Node can do it for all stacks, but it reads every map at the start and keeps it, and packages look at many
 * stacks that are never printed.
 */
export function withSourcePlaces(text: string): string {
  if (!text.includes('file://')) return text;
  // No map is kept: it takes megabytes, and errors are rare.
  const maps = new Map<string, SourceMap | undefined>();
  return text.replace(PLACE, (place: string, file: string, line: string, column: string) => {
    let source = known.get(place);
    if (source === undefined) {
      if (!maps.has(file)) maps.set(file, mapOf(file));
      source = sourceOf(maps.get(file), Number(line), Number(column)) ?? place;
      if (known.size < MAX_KNOWN) known.set(place, source);
    }
    return source;
  });
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
