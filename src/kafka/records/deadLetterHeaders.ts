import type { PipelineError } from '../../model/errors.ts';
import type { RecordHeader, SourceRecord } from '../../model/recordPorts.ts';
import { fitToShow } from './fitToShow.ts';

/** What all headers begin with that Spring puts on a dead letter (KafkaHeaders.PREFIX + "dlt-"). */
const prefix = 'kafka_dlt-';

/** Ours: how many bytes the value had, where it was cut because no broker would have taken the whole. */
const cutHeader = 'fintrack_dlt-value-bytes';

/** The headers of a dead letter that name the record it was and the error that made it one, its text cut where it is longer. */
export function deadLetterHeaders(
  record: SourceRecord,
  error: PipelineError,
  { groupId, maxErrorCharacters }: { readonly groupId: string; readonly maxErrorCharacters: number },
): RecordHeader[] {
  const message = fitToShow(error).message.slice(0, maxErrorCharacters);
  const cause = error.cause instanceof Error ? [header('exception-cause-fqcn', text(error.cause.name))] : [];
  return [
    header('exception-fqcn', text(error.name)),
    ...cause,
    header('exception-message', text(message)),
    // Never the stack: it names folders of this machine, and what is thrown by others may hold anything.
    header('exception-stacktrace', text(`${error.name} [${error.code}]: ${message}`)),
    header('original-topic', text(record.topic)),
    header('original-partition', int32(record.partition)),
    header('original-offset', int64(record.offset)),
    header('original-timestamp', int64(BigInt(record.timestampMs))),
    header('original-timestamp-type', text('CreateTime')),
    header('original-consumer-group', text(groupId)),
  ];
}

/** The header that marks a value as cut. */
export function cutMark(valueBytes: number): RecordHeader {
  return { name: cutHeader, value: text(String(valueBytes)) };
}

/** Whether a dead letter holds only the beginning of what it was, or what was stored of it and could not be decoded. */
export function isCut({ headers }: Pick<SourceRecord, 'headers'>): boolean {
  if (headers.some(({ name }) => name === cutHeader)) return true;
  const trace = headers.findLast(({ name }) => name === `${prefix}exception-stacktrace`);
  return trace !== undefined && Buffer.from(trace.value).toString().startsWith('BrokerError [undecodable]');
}

/** Without the headers of an earlier failure; those that name where it happened stay, as with Spring. */
export function withoutEarlierErrors(headers: readonly RecordHeader[]): RecordHeader[] {
  return headers.filter(({ name }) => !isExceptionHeader(name) && name !== cutHeader);
}

/** As the headers were before the record became a dead letter. */
export function withoutDeadLetterHeaders(headers: readonly RecordHeader[]): RecordHeader[] {
  return headers.filter(({ name }) => !name.startsWith(prefix) && name !== cutHeader);
}

function isExceptionHeader(name: string): boolean {
  return name.startsWith(`${prefix}exception-`) || name.startsWith(`${prefix}key-exception-`);
}

function header(name: string, value: Uint8Array): RecordHeader {
  return { name: `${prefix}${name}`, value };
}

function text(content: string): Uint8Array {
  return Buffer.from(content);
}

function int32(number: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(number);
  return bytes;
}

function int64(number: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(number);
  return bytes;
}
