import type { Scenario, SeedReport } from './crew.js';

/** Of a failed seed so many violations are shown: the first tells most. */
const SHOWN = 5;

/** Adds up what runs showed. */
export class Tally {
  seeds = 0;
  takeovers = 0;
  acked = 0;
  simulatedMs = 0;
  readonly failed: number[] = [];
  readonly #flag: string;
  readonly #faults = new Map<string, number>();

  constructor(scenario: Scenario = 'group') {
    this.#flag = scenario === 'group' ? '' : `--${scenario} `;
  }

  /** @returns what to say of it, if it failed */
  add(report: SeedReport): string[] {
    this.seeds++;
    if ('error' in report) return this.#fail(report.seed, [report.error]);
    const { result } = report;
    this.takeovers += result.takeovers;
    this.acked += result.acked;
    this.simulatedMs += result.ms;
    for (const [kind, count] of Object.entries(result.faults))
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
    return result.violations.length === 0 ? [] : this.#fail(result.seed, result.violations);
  }

  /** @param seconds how long it took */
  report(seconds: number): string {
    const faults = [...this.#faults].sort(([, a], [, b]) => b - a);
    const width = Math.max(0, ...faults.map(([kind]) => kind.length));
    return [
      `seeds ${this.seeds}, takeovers ${this.takeovers}, acknowledged messages ${this.acked}, ` +
        `simulated ${Math.round(this.simulatedMs / 60_000)} min in ${Math.round(seconds)} s`,
      'faults:',
      ...faults.map(([kind, count]) => `  ${kind.padEnd(width)}  ${count}`),
      `seeds with violations: ${this.failed.length}${this.failed.length === 0 ? '' : ` (${this.failed.join(', ')})`}`,
    ].join('\n');
  }

  #fail(seed: number, violations: readonly string[]): string[] {
    this.failed.push(seed);
    return [
      `seed ${seed} FAILED`,
      ...violations.slice(0, SHOWN).map((violation) => `  ${violation}`),
      ...(violations.length > SHOWN ? [`  and ${violations.length - SHOWN} more`] : []),
      `  replay: npm run sim -- ${this.#flag}--seed ${seed}`,
    ];
  }
}
