import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} root */
export function requiredNode(root) {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return engines.node.replace(/^>=\s*/, '');
}

/** @param {string} root */
export function nodeIsSupported(root, version = process.versions.node) {
  const [wantedMajor, wantedMinor] = requiredNode(root).split('.').map(Number);
  const [major, minor] = version.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
