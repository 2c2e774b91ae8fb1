import { parseArgs } from 'node:util';
import { CLIENT_LINES, FENCE_LINES, LINES, REST_LINES } from './lines.js';

const IDS = [...LINES, ...FENCE_LINES, ...CLIENT_LINES, ...REST_LINES].map(({ id }) => id);

export interface Flags {
  json: boolean;
  quick: boolean;
  floorOnly: boolean;
  brokerOnly: boolean;
  /** Measure the bare floor as well: a profile is of one of them. */
  bare: boolean;
  /** Line ids, or parts of them. Empty: all. */
  only: string[];
  profile: string | undefined;
  rounds: number;
  window: number | undefined;
  dir: string | undefined;
  broker: string | undefined;
  brokerArgs: string[];
}

const DEFAULT_ROUNDS = 5;
const QUICK_ROUNDS = 3;

const HELP = `npm run bench -- [flags]

  --only PART        only lines whose id contains PART; several times for several
  --quick            few and short rounds: for a first look, not for docs/performance.md
  --rounds N         pairs of rounds per line [${DEFAULT_ROUNDS}]
  --floor-only       only the floor;  --broker-only: only the broker
  --profile LINE     run one line under --cpu-prof, print where the time goes (with --floor-only: of the floor)
  --window N         messages in flight per publisher, instead of the line's own
  --dir DIR          where the file store goes [the system's temp dir, unless that is in memory]
  --broker CMD       measure another broker: a command line with {url}, {cluster}, {store} and {dir} in it
  --broker-arg ARG   a further argument for the broker; several times for several
  --json             print JSON instead of tables

lines: ${IDS.join(' ')}
`;

/** Ends the process after `--help` (0) and wrong flags (2). */
export function parseFlags(args: string[]): Flags {
  try {
    const { values } = parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        json: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        'floor-only': { type: 'boolean', default: false },
        'broker-only': { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        profile: { type: 'string' },
        rounds: { type: 'string' },
        window: { type: 'string' },
        dir: { type: 'string' },
        broker: { type: 'string' },
        'broker-arg': { type: 'string', multiple: true, default: [] },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const rounds = count('rounds', values.rounds);
    const only = values.profile === undefined ? values.only : [values.profile];
    for (const part of only) {
      if (!IDS.some((id) => id.includes(part))) {
        throw new Error(`no line's id contains ${JSON.stringify(part)}`);
      }
    }
    return {
      json: values.json,
      quick: values.quick,
      floorOnly: values['floor-only'],
      brokerOnly: values['broker-only'],
      bare: !(values['broker-only'] || values.profile !== undefined),
      only,
      profile: values.profile,
      rounds: rounds ?? (values.quick ? QUICK_ROUNDS : DEFAULT_ROUNDS),
      window: count('window', values.window),
      dir: values.dir,
      broker: values.broker,
      brokerArgs: values['broker-arg'],
    };
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${flag} must be a whole number from 1, not ${text}`);
  return value;
}
