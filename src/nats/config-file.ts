import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MAX_INCLUDES = 100;
const COMMENT = /^\s*(?:#|\/\/).*$/gm;
const INCLUDE = /(?:^|[,;{])\s*include\s*[:=]?\s*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s;,}]+))/gim;
/** What structure is made of: texts in quotes, brackets, words (a URL is one), comments. */
const TOKEN = /"(?:\\.|[^"\\])*"|'[^']*'|[{}[\]]|#.*|\/\/.*|[^\s{}[\],;="'#]+/g;

/** Whether a configuration file of a nats-server, or one that it includes, has a line like this. Its structure is not looked at. */
export function configFileHas(configFile: string, setting: RegExp): boolean {
  const files = new Set([configFile]);
  for (const file of files) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8').replace(COMMENT, '');
    } catch {
      // The server will say so.
      continue;
    }
    if (setting.test(text)) return true;
    for (const [, double, single, bare] of text.matchAll(INCLUDE)) {
      if (files.size < MAX_INCLUDES) files.add(join(dirname(file), double ?? single ?? bare!));
    }
  }
  return false;
}

/**
 * Whether a configuration file of a nats-server, with what it includes, has a list of users for clients: in `authorization`, or in an
 * account. Those for leaf nodes or routes are others.
 */
export function hasClientUsers(configFile: string): boolean {
  return listsUsers(configFile, [], { left: MAX_INCLUDES });
}

/** @param place names of the blocks that the file is included in; it is left as it was */
function listsUsers(file: string, place: string[], files: { left: number }): boolean {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // The server will say so.
    return false;
  }
  const depth = place.length;
  let name = '';
  let isInclude = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token.startsWith('#') || token.startsWith('//') || token === ':') continue;
    if (token === '{' || token === '[') {
      if (token === '[' && name === 'users' && isForClients(place)) return true;
      place.push(name);
      name = '';
    } else if (token === '}' || token === ']') {
      if (place.length > depth) place.pop();
      name = '';
    } else {
      const word = token.replace(/^["']|["']$|:$/g, '');
      if (isInclude && files.left-- > 0 && listsUsers(join(dirname(file), word), place, files)) return true;
      isInclude = !isInclude && !/^["']/.test(token) && word.toLowerCase() === 'include';
      name = word.toLowerCase();
    }
  }
  place.length = depth;
  return false;
}

/** A file in JSON has a block without a name around all. */
function isForClients(place: readonly string[]): boolean {
  const [outermost, ...inner] = place.filter((name) => name !== '');
  return outermost === 'accounts' || (outermost === 'authorization' && inner.length === 0);
}
