import type { QuotaStore, SharedWindow } from '../../model/quotaPorts.ts';
import { QuotaCredits } from '../quotas/quotaCredits.ts';
import type { QuotaPeriod } from '../quotas/quotaPeriod.ts';
import { CombinedSource } from './combinedSource.ts';
import type { CreditSource } from './creditSource.ts';
import { OwnWindow } from './ownWindow.ts';
import { SharedCredits } from './sharedCredits.ts';

export interface CreditSourcesOptions {
  readonly credits: number;
  readonly windowMs: number;
  readonly windows: readonly { readonly credits: number; readonly windowMs: number }[];
  readonly quotas: readonly { readonly credits: number; readonly period: QuotaPeriod; readonly store: QuotaStore }[];
  readonly window?: SharedWindow | undefined;
  readonly callTimeoutMs: number;
  readonly startsUsed: boolean;
  readonly now: () => number;
}

/** All that a call needs credits of; what answers at once is asked first, and so nobody is asked for more than can be used. */
export function creditSources(options: CreditSourcesOptions): CombinedSource {
  const { credits, windowMs, windows, quotas, window, callTimeoutMs, startsUsed, now } = options;
  const main: readonly CreditSource[] =
    window === undefined ? [new OwnWindow({ credits, windowMs, learns: true, startsUsed })] : [];
  return new CombinedSource([
    ...main,
    ...windows.map((further) => new OwnWindow({ ...further, learns: false, startsUsed })),
    ...quotas.map((quota) => new QuotaCredits({ ...quota, now })),
    ...(window === undefined ? [] : [new SharedCredits({ window, credits, windowMs, callTimeoutMs })]),
  ]);
}
