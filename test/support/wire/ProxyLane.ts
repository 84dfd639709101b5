import type { Socket } from 'node:net';
import type { Conditions, Verdict } from '../tcpProxy.ts';
import type { Framed } from './protocol.ts';

export interface LaneOptions {
  readonly conditions: () => Conditions;
  readonly random?: (() => number) | undefined;
  readonly cut: (chunk: Buffer) => readonly Framed<unknown>[];
  readonly onMessage: (message: unknown) => Verdict | Promise<Verdict>;
  /** Whether `cutAfterBytes` counts its bytes. */
  readonly cutsAfterBytes: boolean;
  /** Resets the connection. */
  readonly reset: () => void;
}

interface Waiting {
  readonly frame: Framed<unknown>;
  /** When it arrives, by `performance.now()`. */
  readonly dueMs: number;
}

/** Bytes that wait to go on, beyond which the sender is not read. */
const mostWaitingBytes = 1_000_000;

/** One way of a connection through a proxy: what comes from one socket goes to the other, in order. */
export class ProxyLane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: LaneOptions;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #passedBytes = 0;
  #lastDueMs = 0;
  #isRunning = false;
  #hasEnded = false;
  #senderHasEnded = false;
  #wake: (() => void) | undefined;

  constructor(from: Socket, to: Socket, options: LaneOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => {
      this.#senderHasEnded = true;
      void this.#run();
    });
    // A side that breaks off is broken off on the other side, too.
    from.on('error', () => void this.#close(() => options.reset()));
    from.on('close', () => {
      if (!this.#senderHasEnded) void this.#close(() => options.reset());
    });
  }

  /** Nothing goes on any more. */
  end(): void {
    this.#hasEnded = true;
    this.goOn();
  }

  /** Conditions have changed. */
  goOn(): void {
    this.#wake?.();
  }

  #take(chunk: Buffer): void {
    const { latencyMs, jitterMs } = this.#options.conditions();
    const random = this.#options.random ?? Math.random;
    const dueMs = Math.max(this.#lastDueMs, performance.now() + latencyMs + random() * jitterMs);
    this.#lastDueMs = dueMs;
    for (const frame of this.#options.cut(chunk)) {
      this.#waiting.push({ frame, dueMs });
      this.#waitingBytes += frame.bytes.length;
    }
    if (this.#waitingBytes > mostWaitingBytes) this.#from.pause();
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#arrival(next.dueMs);
      await this.#pass(next.frame);
      this.#waitingBytes -= next.frame.bytes.length;
      if (this.#waitingBytes <= mostWaitingBytes && this.#from.isPaused()) this.#from.resume();
    }
    this.#isRunning = false;
    if (this.#senderHasEnded) void this.#close(() => this.#to.end());
  }

  /** Until the bytes are there and nothing holds them up. */
  async #arrival(dueMs: number): Promise<void> {
    for (;;) {
      const waitMs = this.#options.conditions().paused ? undefined : dueMs - performance.now();
      if (this.#hasEnded || (waitMs !== undefined && waitMs <= 0)) return;
      await this.#pause(waitMs);
    }
  }

  async #pass({ bytes, message }: Framed<unknown>): Promise<void> {
    if (this.#hasEnded || this.#options.conditions().swallow) return;
    const verdict = message === undefined ? undefined : await this.#options.onMessage(message);
    if (this.#isClosed() || verdict === 'drop') return;
    if (this.#cuts(bytes)) return;
    if (!this.#to.write(bytes)) {
      await new Promise<void>((resolve) => {
        this.#to.once('drain', resolve);
        this.#to.once('close', resolve);
      });
    }
  }

  /** Whether these bytes are beyond what passes: then the first of them still do. */
  #cuts(bytes: Buffer): boolean {
    if (!this.#options.cutsAfterBytes) return false;
    const left = this.#options.conditions().cutAfterBytes - this.#passedBytes;
    this.#passedBytes += bytes.length;
    if (bytes.length < left) return false;
    this.#hasEnded = true;
    this.#to.write(bytes.subarray(0, Math.max(0, left)), () => this.#options.reset());
    return true;
  }

  async #close(act: () => void): Promise<void> {
    const { slowCloseMs } = this.#options.conditions();
    if (slowCloseMs > 0 && !this.#hasEnded) await new Promise((resolve) => setTimeout(resolve, slowCloseMs));
    if (!this.#hasEnded) act();
  }

  #pause(milliseconds: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(() => this.#wake?.(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #isClosed(): boolean {
    return this.#hasEnded || this.#to.destroyed;
  }
}
