import { relative } from 'node:path';

/**
 * A reporter for Node's test runner that writes one line for each test that was skipped or is still to do, and why.
 * Node loads reporters by their default export.
 *
 * @param {AsyncIterable<{ type: string, data: any }>} events
 */
// biome-ignore lint/style/noDefaultExport: Node's test runner asks for one
export default async function* skipReporter(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const why = data.skip ?? data.todo;
    if (why === undefined || why === false) continue;
    const where = data.file ? ` (${relative(process.cwd(), data.file)})` : '';
    yield `${data.name}${where}: ${why === true || why === '' ? 'no reason given' : why}\n`;
  }
}
