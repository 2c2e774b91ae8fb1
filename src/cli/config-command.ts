// `stanchion config`: translates a configuration file of the Go server.

import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Argv, Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { readGoFile } from '../config/go-file/go-file.js';
import { natsTextOf } from '../config/go-file/nats-part.js';
import { findConfig } from '../config/go-file/syntax.js';
import { yamlOf } from '../config/go-file/yaml-text.js';
import { printableLines } from '../util/printable.js';
import { flag } from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import { CONFIG_SOURCES } from './config-file-reader.js';
import { Flags } from './flags.js';

export const CONFIG_FROM_FLAGS = {
  'nats-config-to': flag("New file for the nats-server's part, which the printed file then names"),
} as const satisfies Record<string, Options>;

/** Adds `stanchion config from FILE`. */
export function addConfigCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(...COMMAND_NAMES.config, (config: Argv) =>
    config
      .command(
        'from <file>',
        'Print a configuration file of the Go server as one of stanchion, in YAML',
        (command) =>
          command
            .options(CONFIG_FROM_FLAGS)
            .example('$0 config from stan.conf --nats-config-to nats.conf > stanchion.yaml', 'both parts'),
        (args) => {
          const flags = new Flags<keyof typeof CONFIG_FROM_FLAGS>(args, process.env);
          onExitCode(configFrom(String(args.file), flags.text('nats-config-to')));
        },
      )
      .example('$0 config from stan.conf > stanchion.yaml', 'for `stanchion serve --config stanchion.yaml`')
      .demandCommand(1, 'Name one: `stanchion config from FILE`')
      .strict(),
  );
}

/** @throws ConfigError with all that is wrong in the file, or cannot be honoured */
function configFrom(path: string, natsConfig: string | undefined): number {
  const found = findConfig(path, CONFIG_SOURCES);
  if (found.kind === 'own') throw new ConfigError(`${path} is a config file of stanchion already`);
  const file = readGoFile(found.file);
  if (file.errors.length > 0) throw new ConfigError(file.errors.join('\n'));
  const startsServer = !file.values.some(({ name }) => name === 'nats-server');
  const hasPart = startsServer && file.nats !== undefined && file.nats.names.length > 0;
  if (natsConfig !== undefined && hasPart) writeNew(natsConfig, natsTextOf(found.file, dirname(natsConfig)));
  for (const warning of file.warnings) console.error(printableLines(warning));
  if (natsConfig !== undefined && !hasPart)
    console.error(`${path} has nothing for a nats-server: ${natsConfig} is not written`);
  const { hasReferences } = found.file;
  process.stdout.write(
    yamlOf(file, { from: path, natsConfig: hasPart ? natsConfig : undefined, hasReferences }),
  );
  return 0;
}

/** Writes a file that only this user may read. @throws ConfigError if there is one */
function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new ConfigError(
      `--nats-config-to: there is a file ${path} already: remove it, or name another one`,
    );
  }
}
