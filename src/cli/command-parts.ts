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
    const { addUpCommand, UP_FLAGS } = await import('./up.js');
    return { add: addUpCommand, flags: [UP_FLAGS] };
  },
  drill: async () => {
    const { addDrillCommand, DRILL_FLAGS, NATS_FLAGS } = await import('./drill-command.js');
    return { add: addDrillCommand, flags: [DRILL_FLAGS, NATS_FLAGS] };
  },
  status: async () => {
    const { addStatusCommand, NATS_FLAGS, STATUS_FLAGS } = await import('./status.js');
    return { add: addStatusCommand, flags: [STATUS_FLAGS, NATS_FLAGS] };
  },
  pub: async () => {
    const { addPubCommand, CLIENT_FLAGS, NATS_FLAGS, PUB_FLAGS } = await import('./pub.js');
    return { add: addPubCommand, flags: [PUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  sub: async () => {
    const { addSubCommand, CLIENT_FLAGS, NATS_FLAGS, SUB_FLAGS } = await import('./sub.js');
    return { add: addSubCommand, flags: [SUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  bench: async () => {
    const { addBenchCommand, CLIENT_FLAGS, NATS_FLAGS, BENCH_FLAGS } = await import('./bench-command.js');
    return { add: addBenchCommand, flags: [BENCH_FLAGS, NATS_FLAGS, CLIENT_FLAGS] };
  },
  import: async () => {
    const { addImportCommand, GO_FILE_FLAGS, IMPORT_FLAGS, RUNNING_FLAGS } = await import(
      './import-command.js'
    );
    return { add: addImportCommand, flags: [IMPORT_FLAGS, GO_FILE_FLAGS, RUNNING_FLAGS] };
  },
  export: async () => {
    const { addExportCommand, EXPORT_FLAGS } = await import('./export-command.js');
    return { add: addExportCommand, flags: [EXPORT_FLAGS] };
  },
  store: async () => {
    const { addStoreCommands, REPAIR_FLAGS, STORE_FLAGS } = await import('./store-command.js');
    return { add: addStoreCommands, flags: [STORE_FLAGS, REPAIR_FLAGS] };
  },
  config: async () => {
    const { addConfigCommand, CONFIG_FROM_FLAGS } = await import('./config-command.js');
    return { add: addConfigCommand, flags: [CONFIG_FROM_FLAGS] };
  },
  serve: async () => {
    const { addServeHelp } = await import('./serve-help.js');
    const [usage, about] = COMMAND_NAMES.serve;
    return { add: (parser) => parser.command(usage, about, (command) => addServeHelp(command)), flags: [] };
  },
};
