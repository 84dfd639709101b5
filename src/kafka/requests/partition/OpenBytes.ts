/**
 * How many bytes the unanswered requests of a worker have, in all its partitions together: what is made of them takes a hundred
 * times as much.
 */
export class OpenBytes {
  readonly #most: number;
  readonly #listeners = new Set<() => void>();
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get hasRoom(): boolean {
    return this.#bytes < this.#most;
  }

  take(bytes: number): void {
    this.#change(bytes);
  }

  giveBack(bytes: number): void {
    this.#change(-bytes);
  }

  /** Has it called whenever there is room again, or none any more; the function returned ends that. */
  watch(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => void this.#listeners.delete(onChange);
  }

  #change(bytes: number): void {
    const hadRoom = this.hasRoom;
    this.#bytes += bytes;
    if (hadRoom !== this.hasRoom) for (const onChange of [...this.#listeners]) onChange();
  }
}
