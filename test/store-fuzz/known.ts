/**
 * Findings that are known and not mended yet, by what the case is called or what was found. It is empty when all parts of the store name what
 * came before them.
 */
export const KNOWN: readonly RegExp[] = [
  // The newest journals, or the only checkpoint, are gone or empty, and nothing that is left names them.
  /LOST IN SILENCE/,
  // A journal is shorter than it was made.
  /journal\/\S+ cut at .*was torn by a crash/s,
];
