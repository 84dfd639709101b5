/** Reads what Kafka writes. Throws where the bytes end too early. */
export class ByteReader {
  readonly #bytes: Buffer;
  #place = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get place(): number {
    return this.#place;
  }

  get left(): number {
    return this.#bytes.length - this.#place;
  }

  int8(): number {
    return this.take(1).readInt8(0);
  }

  int16(): number {
    return this.take(2).readInt16BE(0);
  }

  int32(): number {
    return this.take(4).readInt32BE(0);
  }

  uint32(): number {
    return this.take(4).readUInt32BE(0);
  }

  int64(): bigint {
    return this.take(8).readBigInt64BE(0);
  }

  string(): string {
    return this.take(this.int16()).toString();
  }

  /** An array; one that is not there is empty. */
  array<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.int32(); left > 0; left--) items.push(read());
    return items;
  }

  /** A number of up to ten bytes, the lowest seven bits first, each negative one between two positive ones. */
  varLong(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (shift > 63n) throw new Error('a number is too long');
      const byte = this.take(1).readUInt8(0);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
  }

  varInt(): number {
    let value = 0;
    for (let scale = 1, bytes = 1; ; scale *= 128, bytes++) {
      if (bytes > 5) throw new Error('a number is too long');
      const byte = this.#bytes[this.#place++];
      if (byte === undefined) throw endsTooEarly();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  /** Bytes behind their length; null where the length says that there is nothing. */
  varBytes(): Buffer | null {
    const length = this.varInt();
    return length === -1 ? null : this.take(length);
  }

  take(length: number): Buffer {
    if (length < 0 || length > this.left) throw endsTooEarly();
    this.#place += length;
    return this.#bytes.subarray(this.#place - length, this.#place);
  }
}

function endsTooEarly(): Error {
  return new Error('it ends too early');
}
