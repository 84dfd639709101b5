import type { RequestDetails, RequestState, Shortfall } from '../../postgres/index.ts';
import { table } from './table.ts';
import { timeOf } from './time.ts';

const counted = ['ok', 'fresh', 'failed', 'skipped'] as const;

/** Requests as a table, a row each. */
export function requestsText(requests: readonly RequestState[], now: Date): string[] {
  return table(
    ['request', 'pipeline', 'state', 'batches', ...counted, 'accepted', 'last active'],
    requests.map((request) => [
      printable(request.key),
      printable(request.pipeline),
      request.state,
      `${request.storedBatches}/${request.totalBatches}`,
      ...counted.map((status) => String(request.counts[status])),
      timeOf(request.acceptedAt, now),
      timeOf(request.lastActiveAt, now),
    ]),
  );
}

/** A request as people read it: how far it is, its batches, and what failed or was skipped, and why. */
export function requestText(details: RequestDetails, now: Date): string[] {
  const { batches, shortfalls, counts } = details;
  const missing = counts.failed + counts.skipped - shortfalls.length;
  return [
    ...summary(details, now),
    ...(batches.length === 0 ? [] : ['', ...batchTable(details, now)]),
    ...(shortfalls.length === 0 ? [] : ['', ...reasonTable(shortfalls), '', ...shortfallTable(shortfalls, now)]),
    ...(missing > 0 ? [`and ${missing} more; --json shows up to 100000`] : []),
  ];
}

function summary(details: RequestDetails, now: Date): string[] {
  const { key, pipeline, state, inputs, batchSize, totalBatches, storedBatches, acceptedAt, lastActiveAt } = details;
  const rows = [
    ['request', printable(key)],
    ['pipeline', printable(pipeline)],
    ['state', `${state}, ${storedBatches} of ${totalBatches} batches stored`],
    ['inputs', `${inputs}, ${batchSize} a batch`],
    ['accepted', timeOf(acceptedAt, now)],
    ['last active', timeOf(lastActiveAt, now)],
  ] as const;
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}`);
}

function batchTable({ batches }: RequestDetails, now: Date): string[] {
  return table(
    ['batch', 'state', ...counted, 'inserted', 'updated', 'unchanged', 'stored'],
    batches.map(({ number, state, counts, written: { inserted, updated, unchanged }, storedAt }) => [
      String(number),
      state,
      ...counted.map((status) => String(counts[status])),
      ...[inserted, updated, unchanged].map(String),
      timeOf(storedAt, now),
    ]),
  );
}

function reasonTable(shortfalls: readonly Shortfall[]): string[] {
  const counts = new Map<string, number>();
  for (const { status, reason } of shortfalls) {
    const kind = `${status}\0${reason}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const rows = [...counts].sort(([, one], [, other]) => other - one);
  return table(
    ['outcome', 'reason', 'inputs'],
    rows.map(([kind, inputs]) => [...kind.split('\0'), String(inputs)]),
  );
}

function shortfallTable(shortfalls: readonly Shortfall[], now: Date): string[] {
  return table(
    ['input', 'batch', 'outcome', 'reason', 'message'],
    shortfalls.map((shortfall) => [
      inputText(shortfall.input),
      String(shortfall.batch),
      shortfall.status,
      shortfall.reason,
      messageOf(shortfall, now),
    ]),
  );
}

function messageOf(shortfall: Shortfall, now: Date): string {
  if (shortfall.status === 'failed') return printable(shortfall.message);
  return shortfall.until === undefined ? '' : `until ${timeOf(shortfall.until, now)}`;
}

/** An input as its ledger writes it: a symbol, or a symbol and what belongs to it. */
function inputText(input: unknown): string {
  const parts = Array.isArray(input) ? (input as readonly unknown[]) : [input];
  return printable(parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' '));
}

/** What comes from outside must not steer a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/\p{C}/gu, '\u{FFFD}');
}
