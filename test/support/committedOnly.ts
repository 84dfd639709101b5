import { createRequire } from 'node:module';

/** A record as kafkajs has read it, with what its batch says. */
interface ReadMessage {
  readonly offset: string;
  readonly key: Buffer | null;
  readonly isControlRecord?: boolean | undefined;
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean };
}

interface AbortedTransaction {
  readonly firstOffset: string;
  readonly producerId: string;
}

/** Leaves out what belongs to aborted transactions. */
export function committedOnly({
  messages,
  abortedTransactions,
}: {
  readonly messages: readonly ReadMessage[];
  readonly abortedTransactions?: readonly AbortedTransaction[] | undefined;
}): readonly ReadMessage[] {
  // The broker sends them by their ends.
  const begins = [...(abortedTransactions ?? [])].sort((a, b) => Number(BigInt(a.firstOffset) - BigInt(b.firstOffset)));
  const aborted = new Set<string>();
  return messages.filter(({ offset, key, isControlRecord, batchContext: { producerId, inTransaction } }) => {
    while (begins[0] !== undefined && BigInt(begins[0].firstOffset) <= BigInt(offset))
      aborted.add(begins.shift()!.producerId);
    // A control record's key is its version and its type: 0 is the end of an aborted transaction.
    if (isControlRecord === true && key?.readInt16BE(2) === 0) aborted.delete(producerId);
    return !(inTransaction && aborted.has(producerId));
  });
}

const nodeRequire = createRequire(import.meta.url);
const path = nodeRequire.resolve('kafkajs/src/consumer/filterAbortedMessages');
/** What kafkajs does by itself. */
export const filterOfKafkajs = nodeRequire(path) as typeof committedOnly;

/*
 * kafkajs 2.2.4 lets records of aborted transactions through to readers of committed records: it takes the aborted
 * transactions in the order in which they come, which is that of their ends, and at most one of them for each record. Readers
 * in tests have to be right; this has to be imported before kafkajs is.
 */
if (nodeRequire.cache[nodeRequire.resolve('kafkajs/src/consumer/batch')] !== undefined) {
  throw new Error('committedOnly.ts was imported after kafkajs');
}
nodeRequire.cache[path]!.exports = committedOnly;
