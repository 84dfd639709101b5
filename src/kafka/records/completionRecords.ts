import { z } from 'zod';
import { callback, defineOptions } from '../../model/defineOptions.ts';
import type { CompletionEvent } from '../../model/events/completion.ts';
import { maxCompletionBytes, serializeCompletion } from '../../model/events/serializeCompletion.ts';
import { defaultMaxRecordBytes, recordBytes } from '../../model/recordBytes.ts';
import type { SinkRecord, SourceRecord } from '../../model/recordPorts.ts';
import { traceHeaders } from './traceHeaders.ts';

/** A number of a part is hardly ever longer. */
const longestNumber = 99_999;

export interface CompletionTarget {
  /** Where the completion goes. */
  readonly topic: string;
  /** The ledger key of the request: `ledgerKeyOf` of its record. */
  readonly key: string;
  /** The record that held the request; its trace is passed on. Default: none. */
  readonly request?: Pick<SourceRecord, 'topic' | 'headers'> | undefined;
  /** The largest record that the topic takes, in bytes, mostly `maxRecordBytes` of the sink. Default: 1 MiB, less 1 kB. */
  readonly maxBytes?: number | undefined;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<CompletionTarget>('completionRecords')({
  topic: z.string().min(1),
  key: z.string(),
  request: z
    .custom<Pick<SourceRecord, 'topic' | 'headers'>>(
      (value) => z.object({ topic: z.string(), headers: z.array(z.unknown()) }).safeParse(value).success,
      { error: 'expected the record of the request' },
    )
    .optional(),
  maxBytes: z.int().min(1).default(defaultMaxRecordBytes),
  now: callback<() => number>().default(() => () => Date.now()),
});

/**
 * Makes the records that announce a completion: one, or several that belong into one transaction where the event is so large
 * that `serializeCompletion` writes it in parts.
 *
 * The headers are those of CloudEvents in binary mode. `ce_id`, which is the record's key, too, is the ledger key, and of a part
 * `<ledger key>#<number>`: the same however often the request is announced, so that readers of uncommitted records know a
 * copy, and a compacted topic keeps every part. `ce_source` is `/fintrack-pipelines/<topic of the request>`, `ce_type`
 * `fintrack.market-data.completed`, `fintrack.market-index-data.completed` or `fintrack.historical-market-data.completed`.
 * A `traceparent` of the request is passed on with its `tracestate`, if it has the form of W3C Trace Context; nothing else is.
 *
 * @example
 * ```ts
 * import { rejectedRequest, RequestError } from 'fintrack-pipelines';
 * import { completionRecords } from 'fintrack-pipelines/kafka';
 *
 * const completion = rejectedRequest('market-data', new RequestError('request_malformed', 'request: no list'), 'REQUESTS-0-42-0');
 * const request = { topic: 'REQUESTS', headers: [] };
 * const now = () => 0;
 * const [record] = completionRecords(completion, { topic: 'COMPLETED', key: 'REQUESTS-0-42-0', request, now });
 * for (const { name, value } of record?.headers ?? []) console.log(name, String(value));
 * // ce_specversion 1.0
 * // ce_id REQUESTS-0-42-0
 * // ce_type fintrack.market-data.completed
 * // ce_source /fintrack-pipelines/REQUESTS
 * // ce_time 1970-01-01T00:00:00.000Z
 * // content-type application/json
 * ```
 */
export function completionRecords(completion: CompletionEvent, target: CompletionTarget): readonly SinkRecord[] {
  const { topic, key, request, maxBytes, now } = resolveOptions(target);
  const time = new Date(now()).toISOString();
  const recordOf = (id: string, value: string): SinkRecord => {
    const headers = [
      { name: 'ce_specversion', value: '1.0' },
      { name: 'ce_id', value: id },
      { name: 'ce_type', value: typeOf(completion) },
      { name: 'ce_source', value: sourceOf(request?.topic) },
      { name: 'ce_time', value: time },
      { name: 'content-type', value: 'application/json' },
      ...traceHeaders(request?.headers ?? []),
    ];
    return { topic, key: id, value, headers };
  };
  const room = maxBytes - recordBytes(recordOf(`${key}#${longestNumber}`, ''));
  const texts = serializeCompletion(completion, { maxBytes: Math.min(room, maxCompletionBytes) });
  return texts.map((value, index) => recordOf(texts.length === 1 ? key : `${key}#${index + 1}`, value));
}

function sourceOf(topic: string | undefined): string {
  return topic === undefined ? '/fintrack-pipelines' : `/fintrack-pipelines/${topic}`;
}

function typeOf(completion: CompletionEvent): string {
  const pipeline =
    'totalSymbols' in completion
      ? 'market-index-data'
      : 'record_count' in completion
        ? 'historical-market-data'
        : 'market-data';
  return `fintrack.${pipeline}.completed`;
}
