// A program whose callback throws: run by publish.test.ts, as a process of its own since the test runner keeps such errors.
import { connect } from '../../src/index.js';

const [servers = '', clusterId = ''] = process.argv.slice(2);
process.on('uncaughtException', (error) => console.log(`uncaught: ${error.message}`));
const connection = await connect({ servers, clusterId, clientId: 'throwing' });
connection.publishAsync('foo', '1', () => {
  throw new Error("the program's own");
});
console.log(`acked: ${(await connection.publish('foo', '2')).length}`);
await connection.close();
