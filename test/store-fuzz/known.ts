/**
 * Findings that are known and not mended yet, by what the case is called or what was found. It is empty when all parts of the store name what
 * came before them.
 */
export const KNOWN: readonly RegExp[] = [
  // The lease, and with it what it says was durable, and all journals: nothing that is left names a message.
  /(all folders|folders journal and lease) removed/,
];
