/** What the order of turns inside a lane goes by. */
export interface Queued {
  readonly request?: string | undefined;
  /** The number of the batch within the request. */
  readonly batch?: number | undefined;
}

/**
 * The calls that wait in one lane. Its requests take turns, call by call; the turns of one request go to its lowest batches
 * first, so that it is done batch by batch and the first rows are there early. Calls without a request are one request.
 */
export class LaneQueue<Call extends Queued> {
  /** By request; whose turn it is comes first. */
  readonly #requests = new Map<string | undefined, Call[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Call | undefined {
    for (const [call] of this.#requests.values()) return call;
    return undefined;
  }

  add(call: Call): void {
    const calls = this.#requests.get(call.request) ?? [];
    const after = calls.findLastIndex((other) => !goesBefore(call, other));
    calls.splice(after + 1, 0, call);
    this.#requests.set(call.request, calls);
    this.#size += 1;
  }

  /** Takes a call out; nothing happens when it is not there. */
  remove(call: Call): void {
    const calls = this.#requests.get(call.request) ?? [];
    const index = calls.indexOf(call);
    if (index < 0) return;
    calls.splice(index, 1);
    this.#size -= 1;
    if (calls.length === 0) this.#requests.delete(call.request);
  }

  /** Takes a call out that was served: the turn goes on to the next request. */
  serve(call: Call): void {
    this.remove(call);
    const others = this.#requests.get(call.request);
    if (others === undefined) return;
    this.#requests.delete(call.request);
    this.#requests.set(call.request, others);
  }

  *[Symbol.iterator](): IterableIterator<Call> {
    for (const calls of this.#requests.values()) yield* calls;
  }
}

function goesBefore(one: Queued, other: Queued): boolean {
  return one.batch !== undefined && other.batch !== undefined && one.batch < other.batch;
}
