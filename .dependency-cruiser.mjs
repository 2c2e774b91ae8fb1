// The layout of `src`: which folder may use which. `npx depcruise src` holds every import to it, and so does
// test/layout/layout.test.ts.
//
// A folder uses the floors below its own, and on its own floor what stands to its right. So no import runs back
// up, and no folders import each other in a circle. An import of types counts like any other. Files of one place
// may import each other's types in a circle; Biome refuses a circle of values (noImportCycles).

/** Each floor from the top: its folders and single files. @type {[floor: number, names: string[]][]} */
const floors = [
  [11, ['cli']],
  [10, ['server.ts', 'run']],
  [9, ['http', 'dashboard']],
  [8, ['metrics']],
  [7, ['bench', 'drill', 'import', 'monitor']],
  [6, ['group']],
  [5, ['index.ts', 'client', 'local-group', 'broker']],
  [4, ['nats', 'store']],
  [3, ['lease', 'config']],
  [2, ['link', 'log', 'protocol', 'files']],
  [1, ['dedup', 'measures', 'clock', 'util', 'version.ts']],
];

/** The large folders inside: each sub-folder uses those to its right. '.' has the files of the folder itself. */
const inside = new Map([
  ['group', ['roles', 'report', 'watch', 'talk', 'proof']],
  ['import', ['.', 'target', 'lines', 'stan', 'sql', 'go-files', 'go-state', 'go-wire', 'types']],
  ['broker', ['.', 'handlers', 'delivery', 'check', 'state']],
  [
    'store',
    ['tools', 'file', 'memory', 'log', 'segments', 'blobs', 'journal', 'batch', 'room', 'format', 'types'],
  ],
]);

/** These use less than their floor allows: a program that only publishes loads nothing of the broker. */
const narrow = new Map([
  ['index.ts', ['client']],
  ['client', ['protocol', 'clock', 'util']],
]);

/** All places of `src`, from the top. */
const places = floors.flatMap(([floor, names]) =>
  names.flatMap((name) => (inside.get(name) ?? ['']).map((part) => placeOf(floor, name, part))),
);

const upward = places.flatMap((upper, index) =>
  places.slice(index + 1).map((lower) => ({
    name:
      lower.floor === upper.floor
        ? `${upper.name} stands left of ${lower.name} on floor ${upper.floor}`
        : `${lower.name} stands on floor ${lower.floor}, ${upper.name} on floor ${upper.floor}`,
    from: { path: lower.path },
    to: { path: upper.path },
  })),
);

const tooWide = [...narrow].map(([name, allowed]) => ({
  name: `${name} uses only ${allowed.join(', ')}`,
  from: { path: pathOf(name) },
  to: { path: '^src/', pathNot: [name, ...allowed].map(pathOf) },
}));

const nowhere = { path: '^src/', pathNot: places.map(({ path }) => path) };
const unplaced = [
  { name: 'the importing file stands on no floor of .dependency-cruiser.mjs', from: nowhere, to: {} },
  { name: 'the imported file stands on no floor of .dependency-cruiser.mjs', from: {}, to: nowhere },
];

const notFound = { name: 'there is no such file or package', from: {}, to: { couldNotResolve: true } };

export default {
  forbidden: [...upward, ...tooWide, ...unplaced, notFound].map((rule) => ({ ...rule, severity: 'error' })),
  options: {
    // TypeScript 7 has no parser that JavaScript can call. swc has one, and sees imports of types as well.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};

/**
 * @param {number} floor
 * @param {string} name
 * @param {string} part
 */
function placeOf(floor, name, part) {
  if (part === '') return { floor, name, path: pathOf(name) };
  if (part === '.') return { floor, name, path: `^src/${name}/[^/]+$` };
  return { floor, name: `${name}/${part}`, path: pathOf(`${name}/${part}`) };
}

/** @param {string} name */
function pathOf(name) {
  return `^src/${name.replaceAll('.', '\\.')}(/|$)`;
}
