import type { Plan, PlannedWindow } from '../../index.ts';
import { duration } from './duration.ts';
import { timeOf } from './time.ts';

/** A plan as people read it, a line per fact. */
export function planText(name: string, plan: Plan, now: Date): string[] {
  const { inputs, stored, fresh, refused, toFetch, batches, calls, credits, windows, doneAt } = plan;
  return [
    `${name}: ${count(inputs, 'symbol')} in ${count(batches, 'batch', 'batches')}`,
    ...(stored > 0 ? [row(stored, 'stored: done before under this request id')] : []),
    ...(fresh > 0 ? [row(fresh, 'fresh: just updated, not fetched again')] : []),
    ...(refused > 0 ? [row(refused, 'refused: can never be served')] : []),
    row(toFetch, `to fetch${calls === undefined ? '' : ` in ${count(calls, 'call')}`}`),
    ...(credits === undefined ? [] : [row(credits, credits === 1 ? 'credit' : 'credits')]),
    ...windows.map((window) => `  ${windowText(window, now)}`),
    ...(doneAt === undefined ? [] : [`  done at ${timeOf(doneAt, now)}, ${inText(doneAt, now)}`]),
  ];
}

function windowText({ credits, windowMs, left, endsAt, rounds, lacking }: PlannedWindow, now: Date): string {
  if (endsAt === undefined) {
    return `of ${count(credits, 'credit')} in ${spanText(windowMs)}, ${left} left: ${count(rounds, 'window')}`;
  }
  const end = timeOf(endsAt, now);
  const short = lacking === 0 ? '' : `: ${lacking} too few; what they do not pay for is left to a run after that`;
  return `of ${count(credits, 'credit')} until ${end}, ${left} left${short}`;
}

function row(number: number, text: string): string {
  return `  ${String(number).padStart(6)} ${text}`;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function spanText(windowMs: number): string {
  return windowMs === 60_000 ? 'a minute' : duration(windowMs);
}

function inText(doneAt: Date, now: Date): string {
  const waitMs = doneAt.getTime() - now.getTime();
  return waitMs < 1_000 ? 'without a wait' : `in ${duration(waitMs)}`;
}
