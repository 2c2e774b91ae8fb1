import { relative } from 'node:path';

/**
 * A reporter for Node's test runner that writes a line of JSON for each test that was skipped or is still to do, and one for
 * each file with the time it took. Node loads reporters by their default export.
 *
 * @param {AsyncIterable<{ type: string, data: any }>} events
 */
// biome-ignore lint/style/noDefaultExport: Node's test runner asks for one
export default async function* testReporter(events) {
  /** @type {Map<string, number>} */
  const msOf = new Map();
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const file = data.file ? relative(process.cwd(), data.file) : '';
    if (data.nesting === 0) msOf.set(file, (msOf.get(file) ?? 0) + data.details.duration_ms);
    const why = data.skip ?? data.todo;
    if (why === undefined || why === false) continue;
    const reason = why === true || why === '' ? 'no reason given' : why;
    yield `${JSON.stringify({ skipped: `${data.name}${file && ` (${file})`}: ${reason}` })}\n`;
  }
  for (const [file, ms] of msOf) yield `${JSON.stringify({ file, ms })}\n`;
}
