import type * as FastCheck from 'fast-check';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import type { Fault, Scenario } from './Scenario.ts';
import { scenarios } from './scenarios.ts';
import { ownParts, simulate, type SimulateOptions, type SimulationReport } from './simulate.ts';

export interface FindViolationOptions extends Omit<SimulateOptions, 'seed' | 'scenario'> {
  /** How many runs that say something are made, if nothing is found before. Default: 100. */
  runs?: number | undefined;
  /** Most runs to make a scenario smaller that breaks a promise. Default: 200. */
  shrinkRuns?: number | undefined;
  /** Decides which scenarios are drawn, and all chances in them. Default: another one each time. */
  seed?: number | undefined;
}

/** The smallest scenario that was found to break a promise, and what came of it: `simulate` shows it again. */
export interface FoundViolation extends SimulationReport {
  readonly seed: number;
  readonly scenario: Scenario;
  /** How often the scenario that was found first could be made smaller. */
  readonly shrinks: number;
}

/** How many effects a run had. */
export interface EffectCounts {
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

/** What many runs have shown. */
export interface SimulationSummary {
  readonly seed: number;
  /** All runs, those among them that say too little included. */
  readonly runs: number;
  /** Runs with at least 3 batches, 30 effects, and a fault that hit. */
  readonly countedRuns: number;
  /** Of the counted runs. */
  readonly effects: EffectCounts;
  /** How many of the counted runs each kind of fault has hit. */
  readonly faults: Readonly<Partial<Record<Fault['type'], number>>>;
  /** Undefined: every promise was kept. */
  readonly violation: FoundViolation | undefined;
}

const resolveOptions = defineOptions<FindViolationOptions>('findViolation')({
  runs: z.int().min(1).default(100),
  shrinkRuns: z.int().min(0).default(200),
  seed: z.int().default(() => Math.floor(Math.random() * 2 ** 31)),
  ...ownParts,
});

/** So many scenarios are drawn at once. */
const chunk = 100;

/**
 * Draws scenarios and simulates them until one breaks a promise, and then makes that one smaller. It needs the packages
 * `fast-check` and `@sinonjs/fake-timers`.
 *
 * All that is said of `simulate` holds: one at a time, and nothing else that needs timers meanwhile.
 *
 * @example
 * ```ts
 * import { findViolation } from 'fintrack-pipelines/testing';
 *
 * const { countedRuns, violation } = await findViolation({ runs: 5, seed: 7 });
 * console.log(countedRuns, violation);
 * // 5 undefined
 * ```
 */
export async function findViolation(options: FindViolationOptions = {}): Promise<SimulationSummary> {
  const { runs, shrinkRuns, seed: firstSeed, ...parts } = resolveOptions(options);
  const fc = await loadFastCheck();
  const tally = new Tally();
  let violation: FoundViolation | undefined;
  for (let drawn = 0; violation === undefined && tally.countedRuns < runs; drawn += 1) {
    let shrunk: number | undefined;
    const property = fc.asyncProperty(scenarios(fc), fc.noShrink(fc.nat()), async (scenario, chance) => {
      const isOver = shrunk === undefined ? tally.countedRuns >= runs : ++shrunk > shrinkRuns;
      if (isOver) return;
      const report = await simulate({ ...parts, seed: chance, scenario });
      if (shrunk === undefined) tally.add(report);
      if (report.violations.length === 0) return;
      shrunk ??= 0;
      throw new Error(report.violations.join('\n'));
    });
    const found = await fc.check(property, { seed: firstSeed + drawn, numRuns: chunk });
    if (found.counterexample === null) continue;
    const [scenario, chance] = found.counterexample;
    const report = await simulate({ ...parts, seed: chance, scenario });
    violation = { ...report, seed: chance, scenario, shrinks: found.numShrinks };
  }
  return { seed: firstSeed, ...tally.summary(), violation };
}

/** Adds up what runs were like. */
class Tally {
  countedRuns = 0;
  #runs = 0;
  readonly #effects: number[] = [];
  readonly #faults = new Map<string, number>();

  add({ isCounted, effects, faults }: SimulationReport): void {
    this.#runs += 1;
    if (!isCounted) return;
    this.countedRuns += 1;
    this.#effects.push(effects);
    for (const type of Object.keys(faults)) this.#faults.set(type, (this.#faults.get(type) ?? 0) + 1);
  }

  summary(): Omit<SimulationSummary, 'seed' | 'violation'> {
    const sorted = this.#effects.toSorted((one, other) => one - other);
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    return {
      runs: this.#runs,
      countedRuns: this.countedRuns,
      effects: { least: at(0), median: at(0.5), most: at(1) },
      faults: Object.fromEntries([...this.#faults].sort()),
    };
  }
}

async function loadFastCheck(): Promise<typeof FastCheck> {
  try {
    return await import('fast-check');
  } catch (cause) {
    throw new OptionsError('findViolation: needs the package fast-check: npm install --save-dev fast-check', { cause });
  }
}
