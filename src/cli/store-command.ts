// `stanchion store`: its three commands, and what `info` and `verify` print. The dialogue of `repair` is in store-repair.ts.

import type { Argv, Options } from 'yargs';
import { systemClock } from '../clock/clock.js';
import { ConfigError } from '../config/config-error.js';
import { nodeFs } from '../files/fs.js';
import { RELEASED } from '../lease/lease-state.js';
import { parseHolder } from '../lease/process-identity.js';
import { type StoreInfo, storeInfo } from '../store/tools/inspect.js';
import { type StoreVerification, storeVerify } from '../store/tools/verify.js';
import { printable } from '../util/printable.js';
import { table } from '../util/table.js';
import { CONFIG_FLAG, flag, flagSwitch } from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import { flagsOf } from './flags.js';
import { sizeText } from './size-text.js';

export const STORE_FLAGS = {
  dir: flag('Folder of the store'),
  json: flagSwitch('Print JSON'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

/** The flags that only `repair` has. */
export const REPAIR_FLAGS = {
  yes: flagSwitch('Repair without asking'),
  'dry-run': flagSwitch('Only print what would be done and lost'),
  'cluster-id': flag('Cluster id of the store, if its stanchion.json is damaged or gone', [
    'c',
    'cluster',
    'cid',
  ]),
} as const satisfies Record<string, Options>;

interface StoreOptions {
  dir: string;
  json: boolean;
}

/** `stanchion store info|verify|repair`: the first two only read, and may run beside a broker. */
export function addStoreCommands(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(...COMMAND_NAMES.store, (store: Argv) =>
    store
      .command(
        'info',
        'Show channels, bounds, segments, epochs and the holder of the store',
        (command) => command.options(STORE_FLAGS).example('$0 store info --dir ./data', 'what is in ./data'),
        async (args) => onExitCode(await info(await storeOptions(args))),
      )
      .command(
        'verify',
        'Check every CRC of every file. Exit code 1 if anything is damaged',
        (command) =>
          command
            .options(STORE_FLAGS)
            .example('$0 store verify --dir ./data', 'name every damage by file and offset'),
        async (args) => onExitCode(await verify(await storeOptions(args))),
      )
      .command(
        'repair',
        'Remove the damaged parts of a store, keep them aside, and say what is lost. All its brokers must be stopped',
        (command) =>
          command
            .options({ ...STORE_FLAGS, ...REPAIR_FLAGS })
            .example('$0 store repair --dir ./data --dry-run', 'what would be lost'),
        async (args) => onExitCode(await repair(args)),
      )
      .example('$0 store info --dir ./data', 'what is in ./data')
      .demandCommand(
        1,
        'Name one: `stanchion store info`, `stanchion store verify` or `stanchion store repair`',
      )
      .strict(),
  );
}

/** @throws ConfigError if --dir is missing */
async function storeOptions(args: Readonly<Record<string, unknown>>): Promise<StoreOptions> {
  const flags = await flagsOf(args, Object.keys(STORE_FLAGS) as (keyof typeof STORE_FLAGS)[]);
  const dir = flags.text('dir');
  if (dir === undefined) throw new ConfigError('--dir FOLDER is missing: the folder of the store');
  return { dir, json: flags.flag('json') };
}

async function repair(args: Readonly<Record<string, unknown>>): Promise<number> {
  const options = await storeOptions(args);
  const flags = await flagsOf(args, Object.keys(REPAIR_FLAGS) as (keyof typeof REPAIR_FLAGS)[]);
  const [yes, dryRun, clusterId] = [flags.flag('yes'), flags.flag('dry-run'), flags.text('cluster-id')];
  if (yes && dryRun) throw new ConfigError('--yes and --dry-run contradict each other: give one of them');
  const { repairCommand } = await import('./store-repair.js');
  return await repairCommand({ ...options, yes, dryRun, clusterId });
}

async function info({ dir, json }: StoreOptions): Promise<number> {
  const found = await storeInfo({ fs: nodeFs, clock: systemClock, dir });
  // Scripts know the lease as `reign`, as release 0.1.0 called it.
  const forScripts = { ...found, reign: found.lease };
  process.stdout.write(json ? `${JSON.stringify(forScripts, undefined, 2)}\n` : infoText(dir, found));
  return found.damage === undefined ? 0 : 1;
}

async function verify({ dir, json }: StoreOptions): Promise<number> {
  const found = await storeVerify({ fs: nodeFs, clock: systemClock, dir });
  process.stdout.write(json ? `${JSON.stringify(found, undefined, 2)}\n` : verifyText(dir, found));
  return found.damages.length === 0 ? 0 : 1;
}

function infoText(dir: string, found: StoreInfo): string {
  const { identity, lease, damage } = found;
  const files = (what: string, list: StoreInfo['journals']): string[] => {
    const bytes = list.reduce((sum, file) => sum + file.bytes, 0);
    const epochs = [...new Set(list.map((file) => file.epoch))].join(', ');
    return [what, `${list.length}`, sizeText(bytes), epochs];
  };
  const lines = [
    printable(
      `Store ${identity.storeId} of cluster "${identity.clusterId}" in ${dir}, format version ${identity.formatVersion}`,
    ),
    `Held by ${printable(holderText(lease))}; newest epoch ${Math.max(found.highestEpoch, lease?.epoch ?? 0)}`,
    `Clients ${found.clients}, subscriptions ${found.subscriptions}, channels ${found.channels.length}`,
    '',
    table(
      ['files', 'count', 'size', 'epochs'],
      [
        files('journal', found.journals),
        files('segments', found.segments),
        files('checkpoints', found.checkpoints),
      ],
    ),
    '',
    table(
      ['channel', 'first', 'last', 'messages', 'size', 'extents'],
      found.channels.map((channel) => [
        channel.name,
        `${channel.firstSequence}`,
        `${channel.lastSequence}`,
        `${channel.messages}`,
        sizeText(channel.bytes),
        `${channel.extents}`,
      ]),
    ),
    ...found.warnings.map((warning) => `\nNote: ${printable(warning)}`),
  ];
  if (damage !== undefined) lines.push(`\nDAMAGED: ${printable(damage.message)}`);
  return `${lines.join('\n')}\n`;
}

function verifyText(dir: string, found: StoreVerification): string {
  const lines = found.notes.map((note) => `Note: ${note}`);
  for (const { path, offset, what } of found.damages)
    lines.push(path === '' ? `DAMAGED: ${what}` : `DAMAGED: ${path}, byte ${offset}: ${what}`);
  const checked = `${found.files} files, ${sizeText(found.bytes)}, ${found.messages} messages in segments`;
  lines.push(
    found.damages.length === 0
      ? `All is well in ${dir}: ${checked}`
      : `${found.damages.length} damaged ${found.damages.length === 1 ? 'place' : 'places'} in ${dir}: ${checked}. Nothing was changed. Restore the store from a backup, or see what \`stanchion store repair --dry-run\` can do: docs/damage.md`,
  );
  return `${lines.map(printable).join('\n')}\n`;
}

function holderText(lease: StoreInfo['lease']): string {
  if (lease === undefined || lease.holder === RELEASED) return 'no process';
  const holder = parseHolder(lease.holder);
  if (holder === undefined) return lease.holder;
  return `node "${holder.nodeName}" (host ${holder.identity.host}, pid ${holder.identity.pid}) since epoch ${lease.epoch}`;
}
