import { parseArgs } from 'node:util';
import type { Line } from './lines/line.js';
import { LINES } from './lines/table.js';
import { SIDES, type Side } from './sides.js';

export interface Flags {
  lines: readonly Line[];
  /** Undefined: those of each line. */
  sides: readonly Side[] | undefined;
  rounds: number;
  isQuick: boolean;
  isColdOnly: boolean;
  isDiskBusy: boolean;
  window: number | undefined;
  dir: string | undefined;
  /** Main module of another build of stanchion, measured beside this one. */
  base: string | undefined;
  brokerArgs: readonly string[];
  isProfile: boolean;
  isJson: boolean;
  /** Write the tables of the docs. */
  isForDocs: boolean;
}

const DEFAULT_ROUNDS = 3;
const QUICK_ROUNDS = 1;

const HELP = `npm run bench -- [flags]

Measures stanchion beside the Go server (where GO_SERVER names its binary) and floors: programs that only answer.

  --lines PART       lines whose id contains PART; several by commas, or times [the common ones: marked *]
  --all              all lines
  --sides SIDE       only these sides, by commas: ${SIDES.join(' ')}
  --rounds N         rounds per line; medians are shown [${DEFAULT_ROUNDS}]
  --quick            one short round of a few lines (marked +): two minutes, for a first look
  --cold             only the first messages of each new process
  --disk-busy        every line with a file store, beside a process that appends and syncs 200 times a second
  --window N         messages in flight per publisher, instead of the line's own
  --dir DIR          where the files go [the system's temp dir, unless that is in memory]
  --base MAIN        another build beside this one: path of its dist/cli/main.js
  --broker-arg ARG   a further argument for stanchion; several times for several
  --profile LINE     run one line once under --cpu-prof, print where the time goes (of --sides, default stanchion)
  --json             print JSON instead of tables
  --docs             all lines; write the figures to docs/performance.json, and the tables of README.md and docs/performance.md

lines:
${LINES.map(({ id, title, isCommon, isQuick }) => `  ${isCommon ? '*' : ' '}${isQuick ? '+' : ' '} ${id.padEnd(22)} ${title}`).join('\n')}
`;

/** Ends the process after `--help` (0) and wrong flags (2). */
export function parseFlags(args: string[]): Flags {
  try {
    const { values } = parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        lines: { type: 'string', multiple: true, default: [] },
        all: { type: 'boolean', default: false },
        sides: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        cold: { type: 'boolean', default: false },
        'disk-busy': { type: 'boolean', default: false },
        window: { type: 'string' },
        dir: { type: 'string' },
        base: { type: 'string' },
        'broker-arg': { type: 'string', multiple: true, default: [] },
        profile: { type: 'string' },
        json: { type: 'boolean', default: false },
        docs: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const isProfile = values.profile !== undefined;
    const parts = values.profile === undefined ? split(values.lines) : [values.profile];
    const sides =
      isProfile && values.sides.length === 0 ? ['stanchion' as const] : sidesOf(split(values.sides));
    if (values.docs && (parts.length > 0 || values.quick || values.cold))
      throw new Error('--docs measures all lines in full: it goes with no choice of them');
    if ((values.docs || sides.includes('go')) && process.env.GO_SERVER === undefined)
      throw new Error('the environment variable GO_SERVER must name the binary of the Go server');
    return {
      lines: chosenLines(parts, { isAll: values.all || values.docs, isQuick: values.quick }),
      sides: sides.length === 0 ? undefined : sides,
      rounds: count('rounds', values.rounds) ?? (values.quick || isProfile ? QUICK_ROUNDS : DEFAULT_ROUNDS),
      isQuick: values.quick,
      isColdOnly: values.cold,
      isDiskBusy: values['disk-busy'],
      window: count('window', values.window),
      dir: values.dir,
      base: values.base,
      brokerArgs: values['broker-arg'],
      isProfile,
      isJson: values.json,
      isForDocs: values.docs,
    };
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

/** @throws Error if a part is in no line's id */
export function chosenLines(
  parts: readonly string[],
  { isAll, isQuick }: { isAll: boolean; isQuick: boolean },
): Line[] {
  if (parts.length === 0) return LINES.filter((line) => isAll || (isQuick ? line.isQuick : line.isCommon));
  for (const part of parts) {
    if (!LINES.some(({ id }) => id.includes(part)))
      throw new Error(`no line's id contains ${JSON.stringify(part)}`);
  }
  return LINES.filter(({ id }) => parts.some((part) => id.includes(part)));
}

function sidesOf(names: readonly string[]): Side[] {
  return names.map((name) => {
    const side = SIDES.find((known) => known === name);
    if (side === undefined) throw new Error(`there is no side ${name}: there are ${SIDES.join(', ')}`);
    return side;
  });
}

function split(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).filter((word) => word !== '');
}

function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${flag} must be a whole number from 1, not ${text}`);
  return value;
}
