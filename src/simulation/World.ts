import type { Chance } from './Chance.ts';
import type { Fault, Scenario, SimulatedServer } from './Scenario.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import { Trace } from './Trace.ts';
import type { VirtualTime } from './VirtualTime.ts';

/** Something that a process does to a server. */
export interface Effect<Result> {
  readonly on: SimulatedServer;
  /** What is done, for the trace. */
  readonly name: string;
  /** Takes place at the server, at once; a promise is answered when it is settled. */
  readonly apply: () => Result | Promise<Result>;
  /** What the process hears when the server refuses it, or its answer is lost. Undefined: nothing, for ever. */
  readonly failure: (how: 'refused' | 'lost') => Error | undefined;
}

interface InFlight {
  readonly process: SimulatedProcess;
  readonly effect: Effect<unknown>;
  readonly arrive: () => void;
  readonly drop: () => void;
}

/** How long what a dead process has sent may still be on its way. */
const longestZombieMs = 4_500;

/**
 * Everything outside of the processes, and the only way to it. Each effect is counted; faults strike at these counts, so that
 * each moment before and after an effect is one at which a process may die.
 */
export class World {
  readonly time: VirtualTime;
  readonly scenario: Scenario;
  readonly chance: Chance;
  readonly trace = new Trace();
  /** How often each kind of fault has hit. */
  readonly hits = new Map<Fault['type'], number>();
  readonly violations = new Set<string>();
  /** Replaces a process that has died, or was told to stop. */
  restart: (restartMs: number) => void = () => undefined;
  /** Told when a server becomes unavailable, and for how long. */
  readonly onOutage = new Set<(server: SimulatedServer, forMs: number) => void>();
  databaseOffsetMs = 0;
  effects = 0;
  readonly #faults: Fault[];
  readonly #inFlight = new Set<InFlight>();
  readonly #downUntil = new Map<SimulatedServer, number>();
  readonly #slowUntil = new Map<SimulatedServer, number>();
  readonly #lost = new Set<SimulatedServer>();
  /** What the provider does with the calls to come. */
  readonly #provider: (Fault & { type: 'provider' })['how'][] = [];

  constructor(time: VirtualTime, scenario: Scenario, chance: Chance) {
    this.time = time;
    this.scenario = scenario;
    this.chance = chance;
    this.#faults = scenario.faults.toSorted((one, other) => one.at - other.at);
  }

  /** Whether nothing is on its way that could still take effect. */
  get isQuiet(): boolean {
    return this.#inFlight.size === 0;
  }

  note(line: string): void {
    this.trace.add(`${this.time.nowMs.toFixed(3)} ${line}`);
  }

  violate(what: string): void {
    this.violations.add(what);
    this.note(`VIOLATION ${what}`);
  }

  hit(type: Fault['type']): void {
    this.#count(type);
    this.note(`fault ${type}`);
  }

  /** What the provider does with this call, other than to answer it. */
  nextProviderFault(): (Fault & { type: 'provider' })['how'] | undefined {
    const how = this.#provider.shift();
    if (how !== undefined) this.hit('provider');
    return how;
  }

  /** Does something outside of the process. Never settles for one that has died meanwhile. */
  effect<Result>(process: SimulatedProcess, effect: Effect<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (!process.isAlive) return;
      this.effects += 1;
      const number = this.effects;
      const diesAfter = this.#strike(number, process);
      this.note(`${process.name} ${number} ${effect.name}`);
      if (diesAfter === 'dead') return;
      const fail = (how: 'refused' | 'lost'): void => {
        const failure = effect.failure(how);
        if (failure !== undefined) this.#answer(process, effect, number, () => reject(failure));
      };
      const settle = (settled: () => void): void => {
        if (diesAfter !== undefined && process.isAlive) {
          this.hit('kill');
          this.kill(process, diesAfter);
        }
        if (this.#lost.delete(effect.on)) {
          this.hit('lost-answer');
          fail('lost');
        } else this.#answer(process, effect, number, settled);
      };
      const arrive = (): void => {
        if (this.isDown(effect.on)) {
          this.hit('outage');
          fail('refused');
          return;
        }
        this.note(`${process.name} ${number} takes effect`);
        this.#apply(
          effect,
          (result) => settle(() => resolve(result)),
          (error) => settle(() => reject(error)),
        );
      };
      this.#send(process, effect, arrive);
    });
  }

  /** Ends a process: what it has sent, and has not arrived, arrives now, later, or never. */
  kill(process: SimulatedProcess, restartMs: number): void {
    if (!process.isAlive) return;
    process.isAlive = false;
    this.time.drop(process);
    this.note(`${process.name} dies`);
    for (const sent of this.#inFlight) {
      if (sent.process !== process) continue;
      sent.drop();
      const fate = this.chance.pick('now', 'later', 'never');
      this.note(`${process.name} ${sent.effect.name} arrives ${fate}`);
      if (fate === 'now') this.time.as(undefined, sent.arrive);
      if (fate === 'never') continue;
      if (fate === 'later') this.#arriveLater(sent);
    }
    for (const listener of process.onDeath) listener();
    this.restart(restartMs);
  }

  /** How long the way to a server takes, or back. */
  latencyMs(of: SimulatedServer): number {
    const isSlow = (this.#slowUntil.get(of) ?? 0) > this.time.nowMs;
    if (isSlow) this.#count('slow');
    return this.chance.between(0.5, 12) * (isSlow ? 20 : 1);
  }

  #send(process: SimulatedProcess, effect: Effect<unknown>, arrive: () => void): void {
    const drop = this.time.after(this.latencyMs(effect.on), () => {
      this.#inFlight.delete(sent);
      arrive();
    });
    const sent: InFlight = {
      ...{ process, effect, arrive },
      drop: () => {
        drop();
        this.#inFlight.delete(sent);
      },
    };
    this.#inFlight.add(sent);
  }

  #arriveLater({ process, effect, arrive }: InFlight): void {
    const drop = this.time.after(this.chance.between(1, longestZombieMs), () => {
      this.#inFlight.delete(sent);
      arrive();
    });
    const sent: InFlight = { process, effect, arrive, drop };
    this.#inFlight.add(sent);
  }

  #apply<Result>(effect: Effect<Result>, resolve: (result: Result) => void, reject: (error: Error) => void): void {
    this.time.as(undefined, () => {
      try {
        const result = effect.apply();
        if (result instanceof Promise) result.then(resolve, reject);
        else resolve(result);
      } catch (error) {
        reject(error as Error);
      }
    });
  }

  #answer(process: SimulatedProcess, { on, name }: Effect<unknown>, number: number, deliver: () => void): void {
    if (!process.isAlive) return;
    this.time.after(
      this.latencyMs(on),
      () => {
        this.note(`${process.name} ${number} ${name} answered`);
        deliver();
      },
      process,
    );
  }

  #count(type: Fault['type']): void {
    this.hits.set(type, (this.hits.get(type) ?? 0) + 1);
  }

  isDown(server: SimulatedServer): boolean {
    return (this.#downUntil.get(server) ?? 0) > this.time.nowMs;
  }

  /** Lets the faults strike that are due; answers in how long a process that dies after its effect is replaced. */
  #strike(number: number, process: SimulatedProcess): number | 'dead' | undefined {
    let diesAfter: number | 'dead' | undefined;
    for (let [fault] = this.#faults; fault !== undefined && fault.at <= number; [fault] = this.#faults) {
      this.#faults.shift();
      if (fault.type !== 'kill') this.#strikeWith(fault, process);
      else if (fault.point === 'after') diesAfter ??= fault.restartMs;
      else {
        this.hit('kill');
        this.kill(process, fault.restartMs);
        diesAfter = 'dead';
      }
    }
    return diesAfter;
  }

  #strikeWith(fault: Exclude<Fault, { type: 'kill' }>, process: SimulatedProcess): void {
    const { nowMs } = this.time;
    switch (fault.type) {
      case 'stop':
        this.hit('stop');
        this.time.after(0, () => process.stop(), process);
        this.restart(fault.restartMs);
        break;
      case 'pause':
        this.hit('pause');
        this.#pause(process, fault.forMs);
        break;
      case 'outage':
        this.#downUntil.set(fault.of, nowMs + fault.forMs);
        this.note(`${fault.of} is unavailable`);
        for (const listener of this.onOutage) listener(fault.of, fault.forMs);
        break;
      case 'slow':
        this.#slowUntil.set(fault.of, nowMs + fault.forMs);
        break;
      case 'lost-answer':
        this.#lost.add(fault.of);
        break;
      case 'provider':
        this.#provider.push(...Array.from({ length: fault.calls }, () => fault.how));
        break;
      case 'clock':
        this.hit('clock');
        if (fault.of === 'process') process.clockOffsetMs += fault.byMs;
        else this.databaseOffsetMs += fault.byMs;
    }
  }

  #pause(process: SimulatedProcess, forMs: number): void {
    process.isPaused = true;
    this.note(`${process.name} is paused`);
    for (const listener of process.onPause) listener(forMs);
    this.time.after(forMs, () => {
      process.isPaused = false;
      this.note(`${process.name} goes on`);
      this.time.resume(process);
    });
  }
}
