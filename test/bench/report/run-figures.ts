import type { FigureName, Figures, Line, Target } from '../lines/line.js';
import type { Machine } from '../machine.js';
import type { Side } from '../sides.js';

/** What one call of the bench measured. This is the JSON that it prints and that docs/performance.json has. */
export interface Run {
  machine: Machine;
  rounds: number;
  /** The short form: not for the docs. */
  isQuick: boolean;
  lines: MeasuredLine[];
  failed: string[];
}

export interface MeasuredLine {
  id: string;
  /** By side, a round each. The rounds of one number ran next to each other. */
  sides: Partial<Record<Side, Figures[]>>;
}

/** The figures of a line with its row of the table. */
export class LineFigures {
  readonly line: Line;
  readonly #sides: MeasuredLine['sides'];

  constructor(line: Line, sides: MeasuredLine['sides']) {
    this.line = line;
    this.#sides = sides;
  }

  has(side: Side): boolean {
    return (this.#sides[side]?.length ?? 0) > 0;
  }

  /** The median of the rounds. */
  value(side: Side, figure: FigureName): number | undefined {
    return median((this.#sides[side] ?? []).map((figures) => figures[figure]));
  }

  /** A figure as a multiple of another side's: the median of the rounds' ratios. */
  ratio(side: Side, figure: FigureName, beside: Side): number | undefined {
    const others = this.#sides[beside] ?? [];
    return median(
      (this.#sides[side] ?? []).map((figures, round) => quotient(figures[figure], others[round]?.[figure])),
    );
  }

  /** Whether a target is reached; undefined without the figures for that. */
  reached({ figure, beside, atLeast, atMost }: Target): { value: number; isReached: boolean } | undefined {
    const { subject } = this.line;
    const value = beside === undefined ? this.value(subject, figure) : this.ratio(subject, figure, beside);
    if (value === undefined) return undefined;
    const isReached =
      value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY);
    return { value, isReached };
  }
}

/** In the order of the table. Lines that the table no longer has are left out. */
export function figuresOf({ lines }: Pick<Run, 'lines'>, table: readonly Line[]): LineFigures[] {
  return table.flatMap((line) => {
    const measured = lines.find(({ id }) => id === line.id);
    return measured === undefined ? [] : [new LineFigures(line, measured.sides)];
  });
}

/** The median of the values that are known. */
export function median(values: readonly (number | undefined)[]): number | undefined {
  // NaN, where the system does not tell, is null in JSON.
  const known = values.filter((value): value is number => typeof value === 'number' && !Number.isNaN(value));
  known.sort((a, b) => a - b);
  const middle = known.length >> 1;
  const [upper, lower] = [known[middle], known[middle - 1]];
  return known.length % 2 === 0 && upper !== undefined && lower !== undefined ? (lower + upper) / 2 : upper;
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return typeof a === 'number' && typeof b === 'number' && b !== 0 ? a / b : undefined;
}
