import { createRequire } from 'node:module';

interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}

interface Decoder {
  readVarInt(): number;
  readVarIntArray(read: (decoder: Decoder) => Header): readonly Header[];
}

/** Headers on their way into an object: whoever reduces them gets it, in a time that grows with their number. */
class Headers extends Array<Header> {
  override reduce(): never {
    const byName = new Map<string, Buffer | null | (Buffer | null)[]>();
    for (const { key, value } of this) {
      const known = byName.get(key);
      if (known === undefined) byName.set(key, value);
      else if (Array.isArray(known)) known.push(value);
      else byName.set(key, [known, value]);
    }
    return Object.fromEntries(byName) as never;
  }
}

/**
 * Makes kafkajs read the headers of a record in linear time.
 *
 * It copies all that came before for each of them (protocol/recordBatch/record/v0/decoder.js): 12,000 headers, which are 83 kB,
 * hold the process up for 48 s, and with it every partition that it reads. No limit of ours comes before that. Only headers are
 * read by `readVarIntArray` (kafkajs 2.2.4, to which this package is pinned). What comes of them is the same, but for a name such
 * as `toString`: it takes what every object inherits for an earlier header of that name, and the consumer ends.
 */
export function readHeadersLinearly(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/protocol/decoder.js') as { prototype: Decoder };
  prototype.readVarIntArray = function (this: Decoder, read) {
    const headers = new Headers();
    for (let left = this.readVarInt(); left > 0; left--) headers.push(read(this));
    return headers;
  };
}
