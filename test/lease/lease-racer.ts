/** Takes the lease over and over, and sends the epochs that it won. */
import { nodeFs } from '../../src/files/fs.js';
import { Lease } from '../../src/lease/lease.js';
import { newTerm } from '../harness/lease-states.js';

const [dir, holder, rounds] = process.argv.slice(2);
const lease = new Lease(nodeFs, dir!);
const won: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const state = await lease.read();
  const next = await lease.takeOver(state, newTerm(state.epoch + 1, holder!));
  if (next !== 'lost') won.push(next.epoch);
}
process.send!(won, () => process.exit(0));
