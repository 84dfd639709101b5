import { callback, defineOptions } from '../model/defineOptions.ts';
import type { RecordSink, RecordSource, SourceRecord } from '../model/recordPorts.ts';
import type { ContractCase } from './providerContract.ts';
import { announcerCases } from './recordCases/announcerCases.ts';
import { groupCases } from './recordCases/groupCases.ts';
import { RecordBench } from './recordCases/RecordBench.ts';
import { sizeCases } from './recordCases/sizeCases.ts';
import { sourceCases } from './recordCases/sourceCases.ts';
import { undecodableCases } from './recordCases/undecodableCases.ts';

/** A broker, and how to reach it with the adapter under test. */
export interface RecordsUnderTest extends AsyncDisposable {
  /** Creates an empty topic, which takes no record larger than `maxRecordBytes`, and answers its name. */
  createTopic(partitions: number, limits?: { readonly maxRecordBytes?: number | undefined }): Promise<string>;
  /** A new member of the group, which is missed soon when it is gone: a session of a second or two. */
  source(groupId: string, topics: readonly string[]): RecordSource;
  sink(): RecordSink;
  /** The records of a topic as a reader of committed records sees them. */
  records(topic: string): Promise<readonly SourceRecord[]>;
  /**
   * Stores one record at the end of a partition that the adapter cannot decode, and resolves once it is there. Missing: what
   * becomes of such records is not looked at.
   */
  sendUndecodable?(topic: string, partition: number): Promise<unknown>;
  /** Ends the source as a killed process ends: without a word to the broker. */
  crash(source: RecordSource): void;
}

const checkArguments = defineOptions<{ open: () => Promise<unknown> }>('recordContract')({
  open: callback<() => Promise<unknown>>(),
});

/**
 * The cases that every pair of a `RecordSource` and a `RecordSink` has to pass, as data for any test runner. Each uses topics
 * and groups of its own, and closes its sources and sinks; `open` may hand out the same broker again and again. A case waits
 * for what has to come, up to 20 s, and may take as long as a session.
 *
 * @example
 * ```ts
 * import { memoryBroker } from 'fintrack-pipelines';
 * import { recordContract } from 'fintrack-pipelines/testing';
 *
 * const open = async () => {
 *   const broker = memoryBroker();
 *   let topics = 0;
 *   return {
 *     createTopic: async (partitions: number, limits?: { maxRecordBytes?: number }) => {
 *       const topic = `topic-${++topics}`;
 *       broker.createTopic(topic, partitions, limits);
 *       return topic;
 *     },
 *     source: (groupId: string, names: readonly string[]) => broker.source({ groupId, topics: names }),
 *     sink: broker.sink,
 *     records: async (topic: string) => broker.records(topic),
 *     sendUndecodable: async (topic: string, partition: number) => broker.sendUndecodable(topic, partition, 'broken'),
 *     crash: broker.crash,
 *     [Symbol.asyncDispose]: async () => {},
 *   };
 * };
 * const cases = recordContract(open);
 *
 * // With vitest: for (const { name, run } of cases) it(name, run);
 * for (const { run } of cases) await run();
 * console.log(cases[0]?.name);
 * // hands out every record as it was sent, in order
 * ```
 */
export function recordContract(open: () => Promise<RecordsUnderTest>): readonly ContractCase[] {
  checkArguments({ open });
  const cases = [...sourceCases(), ...groupCases(), ...announcerCases(), ...sizeCases(), ...undecodableCases()];
  return cases.map(({ name, check }) => ({
    name,
    run: async () => {
      const opened = await open();
      const bench = new RecordBench(opened);
      try {
        await check(bench);
      } finally {
        await bench.close();
        await opened[Symbol.asyncDispose]();
      }
    },
  }));
}
