// The code of each command, loaded when that command is called: `stanchion --help` needs none of it, `stanchion pub` only its own.

import type { Argv, Options } from 'yargs';
import { COMMAND_NAMES, type CommandName } from './command-names.js';

/** What a command line of one command needs. */
export interface CommandParts {
  /** Adds the command to a parser, with its flags, its help and what it does. */
  add(parser: Argv, onExitCode: (exitCode: number) => void): Argv;
  /** All its flags, for the spellings of the Go tools. */
  flags: readonly Readonly<Record<string, Options>>[];
}

/** Loads the code of a command. */
export const COMMAND_PARTS: Readonly<Record<CommandName, () => Promise<CommandParts>>> = {
  up: async () => {
    const { addUpCommand } = await import('./up.js');
    const { UP_FLAGS } = await import('./up-flags.js');
    return { add: addUpCommand, flags: [UP_FLAGS] };
  },
  drill: async () => {
    const { addDrillCommand } = await import('./drill-command.js');
    const { DRILL_FLAGS } = await import('./drill-flags.js');
    const { NATS_FLAGS } = await import('./client-flags.js');
    return { add: addDrillCommand, flags: [DRILL_FLAGS, NATS_FLAGS] };
  },
  status: async () => {
    const { addStatusCommand, STATUS_FLAGS } = await import('./status.js');
    const { NATS_FLAGS } = await import('./client-flags.js');
    return { add: addStatusCommand, flags: [STATUS_FLAGS, NATS_FLAGS] };
  },
  pub: async () => {
    const { addPubCommand, PUB_FLAGS } = await import('./pub.js');
    const { CLIENT_FLAGS, NATS_FLAGS } = await import('./client-flags.js');
    return { add: addPubCommand, flags: [PUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  sub: async () => {
    const { addSubCommand, SUB_FLAGS } = await import('./sub.js');
    const { CLIENT_FLAGS, NATS_FLAGS } = await import('./client-flags.js');
    return { add: addSubCommand, flags: [SUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  bench: async () => {
    const { addBenchCommand, BENCH_FLAGS } = await import('./bench-command.js');
    const { CLIENT_FLAGS, NATS_FLAGS } = await import('./client-flags.js');
    return { add: addBenchCommand, flags: [BENCH_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  store: async () => {
    const { addStoreCommands, REPAIR_FLAGS, STORE_FLAGS } = await import('./store-command.js');
    return { add: addStoreCommands, flags: [STORE_FLAGS, REPAIR_FLAGS] };
  },
  serve: async () => {
    const { addServeHelp } = await import('./serve-help.js');
    const [usage, about] = COMMAND_NAMES.serve;
    return { add: (parser) => parser.command(usage, about, (command) => addServeHelp(command)), flags: [] };
  },
};
