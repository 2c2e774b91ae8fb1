/** Takes the reign over and over, and sends the epochs that it won. */
import { nodeFs } from '../../src/files/fs.js';
import { Reign } from '../../src/lease/lease.js';

const [dir, holder, rounds] = process.argv.slice(2);
const reign = new Reign(nodeFs, dir!);
const won: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const state = await reign.read();
  const next = await reign.takeOver(state, state.epoch + 1, holder!);
  if (next !== 'lost') won.push(next.epoch);
}
process.send!(won, () => process.exit(0));
