import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const RELATIVE_IMPORT = /(from |import\()(['"])(\.{1,2}\/[^'"]+)\.js\2/g;

/**
 * The types once more, for programs in CommonJS: where TypeScript is told `module: node16`, it refuses them the types of an ES module,
 * which Node gives them. Writes `x.d.cts` beside each `x.d.ts` that the package's entries lead to.
 *
 * @param {string} root
 */
export function writeCommonJsTypes(root) {
  const due = ['index', 'server']
    .map((entry) => join(root, 'dist', entry))
    .filter((stem) => existsSync(`${stem}.d.ts`));
  const done = new Set();
  for (let stem = due.pop(); stem !== undefined; stem = due.pop()) {
    if (done.has(stem)) continue;
    done.add(stem);
    const folder = dirname(stem);
    const types = readFileSync(`${stem}.d.ts`, 'utf8').replace(RELATIVE_IMPORT, (_all, word, quote, path) => {
      due.push(join(folder, path));
      return `${word}${quote}${path}.cjs${quote}`;
    });
    writeFileSync(`${stem}.d.cts`, types);
  }
}
