// A group on real NFS, struck as machines are. `node --import tsx test/mount/nfs/run.ts --help` lists what can be given by hand.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import yargs from 'yargs';
import { furnish, isInside, runInside, whyNoSandbox } from '../../chaos/sandbox.js';
import { NfsDrill, STRIKES, type Strike } from './nfs-drill.js';
import { whyNoNfs } from './nfs-lab.js';

const DEFAULT_STRIKES: readonly Strike[] = ['power', 'pause', 'cable', 'server'];
const argv = process.argv.slice(2);
const why = isInside() ? false : whyNoSandbox() || whyNoNfs();
if (why !== false) {
  console.error(`There can be no run here: ${why}`);
  process.exitCode = 2;
} else {
  const options = yargs(argv)
    .strict()
    .options({
      strikes: {
        ...{ type: 'array', choices: STRIKES, default: DEFAULT_STRIKES },
        describe: 'What happens, one after the other',
      },
      away: {
        type: 'number',
        default: 5,
        describe: 'Seconds for which the file server is off, besides its boot',
      },
      grace: { type: 'number', default: 10, describe: 'Seconds of its grace period' },
      mount: { type: 'string', default: 'timeo=50;retrans=2', describe: 'Options of the mounts' },
      twins: { type: 'boolean', default: false, describe: 'Give all machines one host name' },
      clientNames: { type: 'boolean', default: false, describe: 'Give each NFS client a name of its own' },
      keep: { type: 'boolean', default: false, describe: 'Print the consoles of all machines at the end' },
    } as const)
    .parseSync();
  process.exitCode = isInside()
    ? await inside(options)
    : await runInside(fileURLToPath(import.meta.url), argv);
}

interface RunOptions {
  strikes: readonly Strike[];
  away: number;
  grace: number;
  mount: string;
  twins: boolean;
  clientNames: boolean;
  keep: boolean;
}

async function inside({
  strikes,
  away,
  grace,
  mount,
  twins,
  clientNames,
  keep,
}: RunOptions): Promise<number> {
  furnish();
  const dir = mkdtempSync(join(tmpdir(), 'stanchion-nfs-'));
  const drill = new NfsDrill({
    dir,
    awaySeconds: away,
    graceSeconds: grace,
    mountOptions: mount,
    areTwins: twins,
    hasClientNames: clientNames,
  });
  try {
    await drill.start();
    for (const strike of strikes) console.log(JSON.stringify(await drill.strike(strike)));
    console.log(JSON.stringify(await drill.readBack()));
    if (twins)
      console.log(JSON.stringify({ saysSameHostName: drill.allSay('has the same host name as this one') }));
    return 0;
  } catch (error) {
    console.error(error);
    keep = true;
    return 1;
  } finally {
    if (keep) console.error(drill.consoles());
    await drill.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
