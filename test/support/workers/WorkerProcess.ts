import { spawn, type ChildProcess } from 'node:child_process';
import { killWithUs } from '../killWithUs.ts';

export interface WorkerPlan {
  /** Counts from 0. */
  readonly number: number;
  readonly program: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What became of a process. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const linesKept = 300;

/** A place for a worker: one process at a time, started again and again. */
export class WorkerProcess {
  readonly number: number;
  /** When its processes were started, in epoch milliseconds. */
  readonly startsMs: number[] = [];
  /** Processes that ended without being told to, and warnings of Node.js. */
  readonly surprises: string[] = [];
  readonly #plan: WorkerPlan;
  readonly #lines: string[] = [];
  #child: ChildProcess | undefined;
  #end: Promise<ProcessEnd> = Promise.resolve({ code: 0, signal: null });
  #isEnding = false;

  constructor(plan: WorkerPlan) {
    this.#plan = plan;
    this.number = plan.number;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** It was told to end, and may not have yet. */
  get isEnding(): boolean {
    return this.isRunning && this.#isEnding;
  }

  /** What the processes wrote last. */
  get log(): string {
    return this.#lines.join('\n');
  }

  start(): void {
    if (this.#child !== undefined) throw new Error(`worker ${this.number} is running`);
    const { program, words, environment } = this.#plan;
    this.startsMs.push(Date.now());
    this.#isEnding = false;
    // Nothing of the machine's environment: no proxy, no key, no database.
    const child = spawn(process.execPath, [program, ...words], {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    killWithUs(child);
    this.#child = child;
    this.#note(`--- process ${this.startsMs.length}, pid ${child.pid}`);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.trimEnd().split('\n')) this.#hear(line);
      });
    }
    this.#end = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#child = undefined;
        this.#note(`--- ended with ${signal ?? String(code)}`);
        if (!this.#isEnding)
          this.surprises.push(`worker ${this.number} ended with ${signal ?? String(code)}:\n${this.log}`);
        resolve({ code, signal });
      });
    });
  }

  /** Sends a signal; whatever ends the process from now on is no surprise, unless it is only stopped or goes on. */
  signal(signal: NodeJS.Signals): void {
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') this.#isEnding = true;
    this.#child?.kill(signal);
  }

  /** Resolves once the process that is there now has ended. */
  gone(): Promise<ProcessEnd> {
    return this.#end;
  }

  /** Ends it at once, as a power cut does; resolves once it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#end;
  }

  /** Asks it to stop, and waits until it has. */
  stop(): Promise<ProcessEnd> {
    this.signal('SIGTERM');
    return this.#end;
  }

  #hear(line: string): void {
    this.#note(line);
    // kafkajs makes Node.js 24 print this one.
    if (/^\(node:\d+\) /.test(line) && !line.includes('TimeoutNegativeWarning')) {
      this.surprises.push(`worker ${this.number}: ${line}`);
    }
  }

  #note(line: string): void {
    this.#lines.push(`${new Date().toISOString().slice(11, 23)} ${line}`);
    if (this.#lines.length > linesKept) this.#lines.shift();
  }
}
