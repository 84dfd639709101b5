const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

/** The checksum of the frames of LZ4, of what is shorter than 16 bytes: the description of a frame is. */
export function xxHash32(bytes: Buffer): number {
  let hash = (prime5 + bytes.length) | 0;
  let place = 0;
  for (; place + 4 <= bytes.length; place += 4) {
    hash = Math.imul(rotate(hash + Math.imul(bytes.readInt32LE(place), prime3), 17), prime4);
  }
  for (const byte of bytes.subarray(place)) hash = Math.imul(rotate(hash + Math.imul(byte, prime5), 11), prime1);
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
