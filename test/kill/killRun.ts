import { crashPoints, type CrashPoint } from '../support/workers/crashPoints.ts';
import { anyRequest, requestFor } from '../support/workers/requests.ts';
import { settle } from '../support/workers/settle.ts';
import type { BenchWorker, WorkerBench } from '../support/workers/workerBench.ts';
import { pause, within } from '../support/within.ts';

export interface KillRunOptions {
  /** How many workers are to be killed, each named moment once at least. */
  readonly kills: number;
  readonly random: () => number;
}

/** Most requests that are unanswered at a time. */
const mostOpen = 30;
/**
 * How long the wire is watched for a named moment before a worker is killed all the same: on a busy machine a worker needs 10 s to
 * come to its first call, and all of them would be killed before they do anything.
 */
const patienceMs = 20_000;

/** Kills workers at named and at random moments while requests come, and starts them again; then lets them finish. */
export class KillRun {
  readonly #bench: WorkerBench;
  readonly #options: KillRunOptions;
  #kills = 0;

  constructor(bench: WorkerBench, options: KillRunOptions) {
    this.#bench = bench;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { kills, random } = this.#options;
    for (const point of crashPoints) await this.#round(point);
    while (this.#kills < kills) {
      const point = random() < 0.5 ? crashPoints[Math.floor(random() * crashPoints.length)] : undefined;
      await this.#round(point);
    }
    this.#start(this.#bench.workers.length);
    await settle(this.#bench);
  }

  async #round(point: CrashPoint | undefined): Promise<void> {
    const { random } = this.#options;
    this.#start(1 + Math.floor(random() * this.#bench.workers.length));
    await this.#send(point);
    const isKilled = point !== undefined && (await this.#killAt(point));
    if (!isKilled) {
      await pause(random() * 1_500);
      const running = this.#running();
      const chosen = running[Math.floor(random() * running.length)];
      if (chosen === undefined) throw new Error('no worker is left to be killed: one ended by itself');
      await this.#bench.kill(chosen);
    }
    this.#kills += 1;
  }

  /** Whoever comes to that moment first is killed; false when nobody does in time. */
  async #killAt(point: CrashPoint): Promise<boolean> {
    const before = this.#bench.kills.get(point) ?? 0;
    const running = this.#running();
    for (const { crash } of running) crash.arm(point);
    const anyEnd = Promise.race(running.map((worker) => worker.process.gone()));
    await within(patienceMs, anyEnd);
    for (const { crash } of running) crash.arm(undefined);
    // More than one may have come to it at the same time.
    await Promise.all(running.filter(({ process }) => process.isEnding).map(({ process }) => process.gone()));
    return (this.#bench.kills.get(point) ?? 0) > before;
  }

  #running(): BenchWorker[] {
    return this.#bench.workers.filter(({ process }) => process.isRunning);
  }

  /** Until so many are there. */
  #start(wanted: number): void {
    const { random } = this.#options;
    while (this.#running().length < wanted) {
      const ended = this.#bench.workers.filter(({ process }) => !process.isRunning);
      ended[Math.floor(random() * ended.length)]!.process.start();
    }
  }

  async #send(point: CrashPoint | undefined): Promise<void> {
    const { random } = this.#options;
    if (point === 'before the offset of a part')
      await this.#bench.send([requestFor('market', this.#bench.nextNumber(), 2_150)]);
    const answered = new Set(this.#bench.answers.records.map(({ key }) => key));
    const open = this.#bench.sent.filter(({ key }) => !answered.has(key)).length;
    const count = Math.min(1 + Math.floor(random() * 5), mostOpen - open);
    await this.#bench.send(
      Array.from({ length: Math.max(0, count) }, () => anyRequest(this.#bench.nextNumber(), random)),
    );
  }
}
