// What is made of the chart in helm/stanchion, so that nothing is written twice:
//
//     node scripts/chart.mjs readme       the table of values in helm/stanchion/README.md, from values.yaml
//     node scripts/chart.mjs manifests    deploy/kubernetes/*.yaml (needs helm)
//
// `npm test` compares both with what is there.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMap, isScalar, parseDocument } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));
const chart = join(root, 'helm', 'stanchion');
const manifests = join(root, 'deploy', 'kubernetes', 'stanchion.yaml');
const KUBERNETES = '1.29.0';
const BEGIN = '<!-- values -->\n';
const END = '<!-- /values -->';
const HEAD = `# Made from the chart by \`node scripts/chart.mjs manifests\`: change helm/stanchion, not this file.
# Before \`kubectl apply -f\`: the image, the NATS servers (STANCHION_NATS_SERVER), and a storage class that gives ReadWriteMany.
`;

/** @returns {string} the README with its table as values.yaml says */
export function readmeWithValues() {
  const path = join(chart, 'README.md');
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(BEGIN) + BEGIN.length;
  const to = text.indexOf(END);
  if (from < BEGIN.length || to < from) throw new Error(`${path} has lost the marks of its table`);
  return text.slice(0, from) + valuesTable() + text.slice(to);
}

function valuesTable() {
  const document = parseDocument(readFileSync(join(chart, 'values.yaml'), 'utf8'));
  /** @type {string[]} */
  const rows = [];
  collect(document.contents, '', rows);
  return `| value | | default |\n| --- | --- | --- |\n${rows.join('')}`;
}

/**
 * A value with a comment `# -- what it is` is a row; one without is a group of values.
 *
 * @param {unknown} map
 * @param {string} prefix
 * @param {string[]} rows
 */
function collect(map, prefix, rows) {
  if (!isMap(map)) throw new Error(`values.yaml: ${prefix} is no map, and says not what it is`);
  map.items.forEach((pair, index) => {
    const name = `${prefix}${pair.key}`;
    // The comment before the first key of a map belongs to the map.
    const comment =
      (isScalar(pair.key) && pair.key.commentBefore) || (index === 0 && map.commentBefore) || '';
    const about = /(?:^|\n) -- (.*)$/.exec(comment)?.[1];
    if (about === undefined) {
      collect(pair.value, `${name}.`, rows);
      return;
    }
    const value = pair.value?.toJSON ? pair.value.toJSON() : pair.value;
    rows.push(`| \`${name}\` | ${about.replaceAll('|', '\\|')} | \`${JSON.stringify(value)}\` |\n`);
  });
}

/**
 * Renders the chart as `helm template` does, with a stand-in for the chart of NATS, which is on the network.
 *
 * @param {string} helm
 * @param {string[]} args
 */
export function renderChart(helm, args) {
  const folder = mkdtempSync(join(tmpdir(), 'stanchion-chart-'));
  try {
    const copy = copyChart(folder, helm);
    return execFileSync(helm, ['template', 'stanchion', copy, '--kube-version', KUBERNETES, ...args], {
      encoding: 'utf8',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * With the stand-in as a package in charts/, as `helm dependency build` leaves the real one.
 *
 * @param {string} folder
 * @param {string} helm
 * @returns the chart's copy in it, with all that helm looks for
 */
export function copyChart(folder, helm) {
  const copy = join(folder, 'stanchion');
  cpSync(chart, copy, { recursive: true, dereference: true });
  const nats = join(folder, 'nats');
  mkdirSync(nats, { recursive: true });
  writeFileSync(join(nats, 'Chart.yaml'), 'apiVersion: v2\nname: nats\nversion: 1.0.0\n');
  execFileSync(helm, ['package', nats, '--destination', join(copy, 'charts')]);
  return copy;
}

/** @param {string} helm */
export function renderManifests(helm) {
  const values = ['--set', 'nats.urls={nats://nats:4222}', '--set', 'fullnameOverride=stanchion'];
  const rendered = renderChart(helm, [...values, '--no-hooks'])
    // What helm needs, and kubectl does not.
    .replaceAll(/^# Source: .*\n/gm, '')
    .replaceAll(/^ *helm\.sh\/(chart|resource-policy): .*\n/gm, '')
    .replaceAll(/^ *# The messages outlive the release\.\n/gm, '')
    .replaceAll(/^ {2}annotations:\n(?=\S| {2}\S)/gm, '')
    .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kubectl');
  return HEAD + rendered;
}

/** Where the manifests are. */
export const manifestsPath = manifests;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const helm = process.env.HELM ?? 'helm';
  if (process.argv[2] === 'readme') writeFileSync(join(chart, 'README.md'), readmeWithValues());
  else if (process.argv[2] === 'manifests') writeFileSync(manifests, renderManifests(helm));
  else {
    console.error('node scripts/chart.mjs readme | manifests');
    process.exitCode = 2;
  }
}
