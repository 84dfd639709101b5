import { afterAll, describe, expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { crashPoints } from '../support/workers/crashPoints.ts';
import { figuresOf, findProblems, lostStarts } from '../support/workers/findProblems.ts';
import { lanes, malformedFor, requestFor } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';
import { stopAndGoOn } from './fencing.ts';
import { KillRun } from './killRun.ts';

const kills = Number(process.env['KILLS'] ?? 200);
/** How often a worker is stopped and goes on. */
const stops = Number(process.env['STOPS'] ?? 20);
const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);

/** What Kafka answers to whom another one has fenced: INVALID_PRODUCER_EPOCH and PRODUCER_FENCED. */
const fenced: ReadonlySet<unknown> = new Set([47, 90]);

const program = await compileWorkers();
const bench = await requireBench({ workers: 3, program: program.main, words: ['work', '--port', '0'] });
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

describe.skipIf(bench === undefined)('workers', () => {
  it('answer every request when nobody disturbs them', async () => {
    for (const { process } of bench!.workers) process.start();
    for (const lane of lanes) {
      const count = bench!.nextNumber();
      await bench!.send([
        requestFor(lane, count, 3),
        malformedFor(lane, count),
        requestFor(lane, bench!.nextNumber(), 250),
      ]);
    }
    await bench!.send([requestFor('market', bench!.nextNumber(), 2_150)]);
    await settle(bench!);

    expect(await findProblems(bench!)).toEqual([]);
  });

  it(`lose nothing and answer nothing twice, whenever they are killed (KILLS=${kills} KILL_SEED=${seed})`, async () => {
    await new KillRun(bench!, { kills, random: seeded(seed) }).run();

    console.log(`${figuresOf(bench!)}; ${await lostStarts(bench!)}`);
    expect(await findProblems(bench!)).toEqual([]);
    expect([...bench!.kills.keys()]).toEqual(expect.arrayContaining([...crashPoints]));
  });

  it(`are fenced when they are stopped past their session and go on (STOPS=${stops})`, async () => {
    for (const { process } of bench!.workers.slice(0, 2)) process.start();
    const codes: (number | string)[] = [];
    for (let round = 0; round < stops; round += 1) codes.push(await stopAndGoOn(bench!));
    await settle(bench!);

    expect(codes.filter((code) => !fenced.has(code))).toEqual([]);
    expect(await findProblems(bench!)).toEqual([]);
  });
});
