// The suites that the tests are in, for `npm run test:NAME`, and which of the tests run a second time with the newest nats-server.
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/**
 * Each suite is made of folders of `test`. A file that differs from the rest of its folder is named here by itself: the
 * longest name that fits decides.
 *
 * @type {Record<string, string[]>}
 */
export const SUITES = {
  // One part of the program, without a server.
  unit: [
    'broker',
    'clock',
    'dedup',
    'files',
    'layout',
    'lease',
    'log',
    'measures',
    'metrics',
    'power-cut',
    'protocol',
    'store',
    'store-fuzz',
    'util',
  ],
  // What people and their programs meet: command line, HTTP, dashboard, configuration, docs, packages, client library; the bench.
  edge: ['bench', 'cli', 'client', 'config', 'dashboard', 'deploy', 'docs', 'http', 'import', 'monitor'],
  // Several members: how they take over, crash, and meet full disks and wrong clocks.
  group: [
    ...['chaos', 'crash', 'drill', 'full-disk', 'group', 'local-group', 'mount', 'run', 'upgrade'],
    'clock/wrong-clock.test.ts',
  ],
  // The protocol as other clients see it, and the connections to NATS.
  conformance: ['broker/check/self-check.test.ts', 'conformance', 'link', 'nats'],
  // A whole group in a simulated world, by seeds.
  sim: ['sim'],
};

/** What speaks to a nats-server runs with the installed one, and once more with the newest. */
const WITH_NEWEST_SERVER = ['conformance', 'crash', 'link', 'nats', 'http/nats-pages.test.ts'];

/**
 * The suites with their files.
 *
 * @param {string} root the folder of the project
 * @returns {Record<string, string[]>} by suite, paths from the root
 * @throws {Error} if a test has no suite, or a line of the table has no test
 */
export function suites(root) {
  const files = testFiles(join(root, 'test')).map((path) => relative(root, path).split(sep).join('/'));
  /** @type {Record<string, string[]>} */
  const found = Object.fromEntries(Object.keys(SUITES).map((name) => [name, []]));
  const unused = new Set(Object.values(SUITES).flat());
  for (const file of files) {
    const [name, place] = suiteOf(file);
    found[name]?.push(file);
    unused.delete(place);
  }
  for (const place of WITH_NEWEST_SERVER) if (!files.some((file) => isIn(file, place))) unused.add(place);
  if (unused.size > 0)
    throw new Error(`scripts/suites.mjs has what no test is in: ${[...unused].join(', ')}`);
  return found;
}

/** @param {string} file a path from the root of the project */
export function runsWithNewestServer(file) {
  return WITH_NEWEST_SERVER.some((place) => isIn(file, place));
}

/**
 * @param {string} file
 * @returns {[string, string]} the suite, and its line in the table
 */
function suiteOf(file) {
  const [best] = Object.entries(SUITES)
    .flatMap(([name, places]) =>
      places
        .filter((place) => isIn(file, place))
        .map((place) => /** @type {[string, string]} */ ([name, place])),
    )
    .sort(([, a], [, b]) => b.length - a.length);
  if (best === undefined)
    throw new Error(`${file} is in no suite: give its folder one in scripts/suites.mjs`);
  return best;
}

/**
 * @param {string} file
 * @param {string} place
 */
function isIn(file, place) {
  return file === `test/${place}` || file.startsWith(`test/${place}/`);
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
export function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith('.test.ts') ? [path] : [];
    });
}
