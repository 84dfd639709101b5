/** What comes of a block that is decompressed: of a size known before, or of one that it may not exceed. */
export class Output {
  readonly #bytes: Buffer;
  #length: number;

  /** Into a buffer of its own of that size, or into one that holds what came before. */
  constructor(size: number | Buffer, length = 0) {
    this.#bytes = typeof size === 'number' ? Buffer.alloc(size) : size;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  /** Takes bytes over as they are. */
  take(source: Buffer, place: number, length: number): void {
    if (place + length > source.length) throw new Error('compressed data ends too early');
    this.#demandRoom(length);
    source.copy(this.#bytes, this.#length, place, place + length);
    this.#length += length;
  }

  /** Writes again what stands so far back; it may reach into what it writes. */
  repeat(distance: number, length: number): void {
    if (distance === 0 || distance > this.#length) throw new Error('compressed data repeats what is not there');
    this.#demandRoom(length);
    let left = length;
    for (let known = distance; left > 0; known *= 2) {
      const step = Math.min(left, known);
      this.#bytes.copy(this.#bytes, this.#length, this.#length - known, this.#length - known + step);
      this.#length += step;
      left -= step;
    }
  }

  /** All of it; refused when it is shorter than it was to be. */
  whole(): Buffer {
    if (this.#length !== this.#bytes.length) throw new Error('compressed data has not the size that it names');
    return this.#bytes;
  }

  #demandRoom(length: number): void {
    if (this.#length + length > this.#bytes.length) throw new Error('compressed data is longer than it may be');
  }
}
