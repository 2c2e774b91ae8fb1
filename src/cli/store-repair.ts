import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { systemClock } from '../clock/clock.js';
import { ConfigError } from '../config/config-error.js';
import { nodeFs } from '../files/fs.js';
import type { RepairReport } from '../store/tools/repair.js';
import { type RepairOutcome, repairStore } from '../store/tools/repair-store.js';
import type { LostMessages } from '../store/tools/salvage-state.js';
import { printable } from '../util/printable.js';
import { takeStore } from './take-store.js';

export interface RepairFlags {
  dir: string;
  json: boolean;
  yes: boolean;
  dryRun: boolean;
  clusterId: string | undefined;
}

/** `stanchion store repair`: asks before it changes anything. @returns the exit code */
export async function repairCommand(flags: RepairFlags): Promise<number> {
  const { dir, clusterId, dryRun, json } = flags;
  const outcome = await repairStore({
    ...{ fs: nodeFs, clock: systemClock, dir, random: randomBytes, clusterId, isDryRun: dryRun },
    ask: (report) => ask(flags, report),
    takeLease: () => {
      process.stderr.write(`Taking the store in ${dir}\n`);
      // It repairs no folder that is no store.
      return takeStore(dir, 'store-repair', true);
    },
  });
  process.stdout.write(json ? `${JSON.stringify(outcome, undefined, 2)}\n` : repairText(flags, outcome));
  return outcome.result === 'refused' ? 1 : 0;
}

async function ask({ dir, yes, json }: RepairFlags, report: RepairReport): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) {
    throw new ConfigError(
      `The store in ${dir} is damaged, and there is no terminal to ask at: look first with --dry-run, then give --yes`,
    );
  }
  if (!json) process.stdout.write(`${reportLines(report).map(printable).join('\n')}\n\n`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(
      'All brokers of this store must have been stopped, and a copy of the folder is a good thing to have. Repair it? Type yes: ',
    );
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}

function repairText({ dir, yes }: RepairFlags, { result, report, notes, keptIn }: RepairOutcome): string {
  const lines = notes.map((note) => `Note: ${note}`);
  switch (result) {
    case 'well':
      lines.push(`All is well in ${dir}: there is nothing to repair`);
      break;
    case 'refused':
      lines.push('Nothing was changed');
      break;
    case 'possible':
      lines.push(
        ...reportLines(report),
        '',
        'Nothing was changed. Without --dry-run the store is repaired, with that lost',
      );
      break;
    case 'repaired':
      // Otherwise `ask` has shown the report already.
      if (yes) lines.push(...reportLines(report), '');
      lines.push(
        `Repaired, and verified: all is well in ${dir}. ${report.files.length === 0 ? 'No file was set aside' : `The former files are in ${keptIn}; nothing removes them but you`}`,
      );
  }
  return `${lines.map(printable).join('\n')}\n`;
}

function reportLines({ damages, lost, doubtful, also, files }: RepairReport): string[] {
  const lines = damages.map(({ path, offset, what }) => `DAMAGED: ${path}, byte ${offset}: ${what}`);
  if (lost.length + doubtful.length + also.length === 0) lines.push('No message is lost');
  lines.push(...lost.map((messages) => `LOST: ${nameOf(messages)} (${placeOf(messages)})`));
  for (const messages of doubtful) {
    const count = messages.last - messages.first + 1;
    lines.push(
      `MAY BE LOST: the newest messages of channel ${messages.channel}, at most ${count}, from ${messages.first} on (${placeOf(messages)}). ` +
        'How many there were is not known; these sequences are given to no other message',
    );
  }
  lines.push(...also.map((other) => `LOST: ${other}`));
  lines.push(...files.map((path) => `Set aside, and kept: ${path}`));
  return lines;
}

function nameOf({ channel, first, last }: LostMessages): string {
  return first === last
    ? `message ${first} of channel ${channel}`
    : `messages ${first} to ${last} of channel ${channel}, ${last - first + 1} in all`;
}

function placeOf({ path, offset, bytes, what }: LostMessages): string {
  return path === '' ? what : `${path}, ${bytes} bytes from byte ${offset}: ${what}`;
}
