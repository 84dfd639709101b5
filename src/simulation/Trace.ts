/** What happened in a run, in order, and the hash of it: the same for the same seed and scenario. */
export class Trace {
  readonly lines: string[] = [];
  #low = 0x811c9dc5;
  #high = 0x1b873593;

  add(line: string): void {
    this.lines.push(line);
    for (let index = 0; index < line.length; index += 1) {
      const code = line.charCodeAt(index);
      this.#low = Math.imul(this.#low ^ code, 0x01000193);
      this.#high = Math.imul(this.#high ^ code, 0x85ebca6b);
    }
  }

  get hash(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
