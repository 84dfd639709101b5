/** Bytes of the wire that belong together, and what they mean; undefined where they mean nothing to a test. */
export interface Framed<Message> {
  readonly bytes: Buffer;
  readonly message: Message | undefined;
}

/** Cuts the bytes of one connection into messages. */
export interface Framing<FromClient, FromServer> {
  fromClient(chunk: Buffer): readonly Framed<FromClient>[];
  fromServer(chunk: Buffer): readonly Framed<FromServer>[];
}

/** What is spoken on connections; each has a framing of its own. */
export type Protocol<FromClient, FromServer> = () => Framing<FromClient, FromServer>;

/** Bytes as they come. */
export const plainBytes: Protocol<Buffer, Buffer> = () => {
  const whole = (chunk: Buffer): readonly Framed<Buffer>[] => [{ bytes: chunk, message: chunk }];
  return { fromClient: whole, fromServer: whole };
};

/**
 * Collects chunks and gives away what is complete: `lengthOf` says how long the first message is, once that can be told; it is
 * asked no more about a message then.
 */
export function frameCutter(lengthOf: (bytes: Buffer) => number | undefined): (chunk: Buffer) => Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  let chunks: Buffer[] = [];
  let collected = 0;
  let wanted: number | undefined;
  return (chunk) => {
    chunks.push(chunk);
    collected += chunk.length;
    // A message of many chunks is put together once.
    if (wanted !== undefined && collected < wanted) return [];
    rest = Buffer.concat(chunks);
    const frames: Buffer[] = [];
    for (;;) {
      wanted ??= rest.length === 0 ? undefined : lengthOf(rest);
      if (wanted === undefined || rest.length < wanted) break;
      frames.push(rest.subarray(0, wanted));
      rest = rest.subarray(wanted);
      wanted = undefined;
    }
    chunks = [rest];
    collected = rest.length;
    return frames;
  };
}
