import { relative } from 'node:path';

/**
 * A reporter for Node's test runner that writes a line of JSON for each test that failed, was skipped or is still to do.
 * Node loads reporters by their default export.
 *
 * @typedef {{ outcome: 'failed' | 'skipped', name: string, file: string | undefined, why: string }} Outcome
 *
 * @param {AsyncIterable<{ type: string, data: any }>} events
 */
// biome-ignore lint/style/noDefaultExport: Node's test runner asks for one
export default async function* outcomeReporter(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const file = data.file ? relative(process.cwd(), data.file) : undefined;
    const why = data.skip ?? data.todo;
    if (why !== undefined && why !== false)
      yield line('skipped', data.name, file, why === true || why === '' ? 'no reason given' : why);
    else if (type === 'test:fail') yield line('failed', data.name, file, data.details?.error?.message ?? '');
  }
}

/**
 * @param {Outcome['outcome']} outcome
 * @param {string} name
 * @param {string | undefined} file
 * @param {string} why
 */
function line(outcome, name, file, why) {
  return `${JSON.stringify({ outcome, name, file, why })}\n`;
}
