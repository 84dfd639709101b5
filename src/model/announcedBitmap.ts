import { OptionsError } from './errors.ts';
import type { CommittedState } from './recordPorts.ts';

// A group that others use too may hold text of theirs in its metadata: without the mark it would be read as a bitmap, and
// records would be dropped that nobody has done.
const mark = 'a1:';

/** What Kafka stores with an offset by default (offset.metadata.max.bytes), in ASCII characters. */
const maxCharacters = 4_096;

const maxBytes = Math.floor((maxCharacters - mark.length) / 4) * 3;

/** How far after the oldest open record a record may be announced, in offsets. */
export const announcedSpan = maxBytes * 8;

/** The text that stands with a committed offset: which records after it are done, one bit each. */
export function encodeAnnounced({ offset, announced }: CommittedState): string {
  const bits = [...announced].filter((done) => done >= offset).map((done) => Number(done - offset));
  const last = bits.reduce((highest, bit) => Math.max(highest, bit), -1);
  if (last >= announcedSpan) {
    throw new OptionsError(
      `announce: a record is announced ${last} offsets after the oldest open one, at most ${announcedSpan - 1} can be`,
    );
  }
  if (last === -1) return '';
  const bytes = Buffer.alloc((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  return mark + bytes.toString('base64');
}

/** The first record from an offset on that the group is not done with. */
export function firstOpen({ offset, announced }: CommittedState, from: bigint): bigint {
  let open = from > offset ? from : offset;
  while (announced.has(open)) open += 1n;
  return open;
}

/** The records that the text of `encodeAnnounced` names; none for a text that is not of its making. */
export function decodeAnnounced(offset: bigint, metadata: string | null): ReadonlySet<bigint> {
  const announced = new Set<bigint>();
  if (metadata?.startsWith(mark) !== true) return announced;
  const encoded = metadata.slice(mark.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return announced;
  bytes.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) announced.add(offset + BigInt(index * 8 + bit));
  });
  return announced;
}
