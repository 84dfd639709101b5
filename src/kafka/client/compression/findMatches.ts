/** Takes bytes that stand as they are, followed by a repetition; the last call has none. */
export type OnSequence = (literals: Uint8Array, match?: { readonly distance: number; readonly length: number }) => void;

const tableBits = 14;
const minMatch = 4;
/** Both formats can name a place at most so far back. */
const maxDistance = 65_535;
/** LZ4 wants its last bytes as they are, and no match to begin in the last 12. */
const tail = 12;
const lastLiterals = 5;

/** Finds repetitions in a block, as Snappy and LZ4 write them: the first that comes is taken. */
export function findMatches(block: Buffer, onSequence: OnSequence): void {
  const table = new Int32Array(1 << tableBits).fill(-1);
  const matchEnd = block.length - lastLiterals;
  let from = 0;
  let place = 0;
  while (place < block.length - tail) {
    const hash = Math.imul(block.readUInt32LE(place), 0x9e3779b1) >>> (32 - tableBits);
    const candidate = table[hash] ?? -1;
    table[hash] = place;
    if (candidate < 0 || place - candidate > maxDistance || !isSame(block, candidate, place)) {
      // What does not compress is gone through faster and faster.
      place += 1 + ((place - from) >> 6);
      continue;
    }
    let length = minMatch;
    while (place + length < matchEnd && block[candidate + length] === block[place + length]) length++;
    onSequence(block.subarray(from, place), { distance: place - candidate, length });
    place += length;
    from = place;
  }
  onSequence(block.subarray(from));
}

function isSame(block: Buffer, one: number, other: number): boolean {
  return block.readUInt32LE(one) === block.readUInt32LE(other);
}
