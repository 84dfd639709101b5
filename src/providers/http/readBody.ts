/** What was read of a body. */
export interface ReadBody {
  readonly text: string;
  /** False when the body goes on beyond the limit; its connection is dropped then. */
  readonly complete: boolean;
}

/** Reads a body as UTF-8 text, and no further than `maxBytes`, counted after decompression. */
export async function readBody(response: Response, maxBytes: number): Promise<ReadBody> {
  if (response.body === null) return { text: '', complete: true };
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), complete: true };
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      // Canceling closes the connection: the rest is not downloaded.
      await reader.cancel();
      return { text: text + decoder.decode(value.subarray(0, value.byteLength - (bytes - maxBytes))), complete: false };
    }
    text += decoder.decode(value, { stream: true });
  }
}
