/** Most bytes that one batch of records may become when it is decompressed. */
export const maxBatchBytes = 64 * 1024 * 1024;

/** Refuses a size before memory is taken for it. */
export function demandBound(bytes: number | bigint): void {
  if (bytes > maxBatchBytes) throw new Error(`it would become more than ${maxBatchBytes / 1024 / 1024} MiB`);
}
