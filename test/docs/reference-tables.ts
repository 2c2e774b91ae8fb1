import type { Options } from 'yargs';
import { BENCH_FLAGS } from '../../src/cli/bench-command.js';
import { CLIENT_FLAGS, NATS_FLAGS } from '../../src/cli/client-flags.js';
import { CONFIG_FROM_FLAGS } from '../../src/cli/config-command.js';
import { DRILL_FLAGS } from '../../src/cli/drill-flags.js';
import { EXPORT_FLAGS } from '../../src/cli/export-command.js';
import { GO_FILE_FLAGS, IMPORT_FLAGS, RUNNING_FLAGS } from '../../src/cli/import-flags.js';
import { PUB_FLAGS } from '../../src/cli/pub.js';
import { STATUS_FLAGS } from '../../src/cli/status.js';
import { REPAIR_FLAGS, STORE_FLAGS } from '../../src/cli/store-command.js';
import { SUB_FLAGS } from '../../src/cli/sub.js';
import { UP_FLAGS } from '../../src/cli/up-flags.js';
import { GO_FLAGS, type GoFlag } from '../../src/config/go-flags.js';
import { OPTION_NAMES, optionOf, SECTIONS } from '../../src/config/options.js';

const DEFAULT_IN_TEXT = / \[default: (.*)\]$/;

/** The tables of docs/reference.md as the code has them, by the name that marks their place in the page. */
export const TABLES: Readonly<Record<string, string>> = {
  serve: serveTables(),
  up: flagTable(UP_FLAGS),
  status: flagTable(STATUS_FLAGS),
  drill: flagTable(DRILL_FLAGS),
  pub: flagTable(PUB_FLAGS),
  sub: flagTable(SUB_FLAGS),
  bench: flagTable(BENCH_FLAGS),
  import: flagTable(IMPORT_FLAGS),
  "import a Go server's store": flagTable(GO_FILE_FLAGS),
  'import from a running server': flagTable(RUNNING_FLAGS),
  export: flagTable(EXPORT_FLAGS),
  store: flagTable(STORE_FLAGS),
  'store repair': flagTable(REPAIR_FLAGS),
  'config from': flagTable(CONFIG_FROM_FLAGS),
  connection: flagTable(NATS_FLAGS),
  client: flagTable(CLIENT_FLAGS),
  'Go server': goTable(),
};

function serveTables(): string {
  const tables = Object.entries(SECTIONS).map(([section, title]) => {
    const names = OPTION_NAMES.filter((name) => optionOf(name).section === section);
    const rows = names.map((name) => {
      const { aliases, describe, default: value } = optionOf(name);
      return flagRow(name, aliases ?? [], describe, value);
    });
    return `**${title}**\n\n${table(['flag', 'does', 'default'], rows)}`;
  });
  return tables.join('\n');
}

function flagTable(flags: Readonly<Record<string, Options>>): string {
  const rows = Object.entries(flags).map(([name, { alias = [], describe }]) =>
    flagRow(name, typeof alias === 'string' ? [alias] : alias, describe ?? ''),
  );
  return table(['flag', 'does', 'default'], rows);
}

function flagRow(name: string, aliases: readonly string[], describe: string, value?: string): string[] {
  const shown = value ?? DEFAULT_IN_TEXT.exec(describe)?.[1] ?? '';
  return [
    [`--${name}`, ...aliases.map((alias) => `-${alias}`)].map(code).join(', '),
    describe.replace(DEFAULT_IN_TEXT, ''),
    shown === '' || shown.includes(' ') ? shown : code(shown),
  ];
}

/** Flags with one reason share a row. */
function goTable(): string {
  const rows = new Map<string, { names: string[]; effect: string; why: string }>();
  for (const flag of GO_FLAGS) {
    const effect = effectOf(flag);
    const key = `${effect}: ${flag.why}`;
    const row = rows.get(key) ?? { names: [], effect, why: flag.why };
    row.names.push(...flag.names.map((name) => code(`-${name}`)));
    rows.set(key, row);
  }
  return table(
    ['flags', 'effect', 'why, and what to do instead'],
    [...rows.values()].map(({ names, effect, why }) => [names.join(', '), effect, why]),
  );
}

function effectOf({ treatment, sets }: GoFlag): string {
  if (treatment === 'refused') return 'refused';
  return sets === undefined ? 'none, with a warning' : `that of ${code(`--${sets}`)}, with a warning`;
}

function table(head: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('');
}

function code(text: string): string {
  return `\`${text}\``;
}
