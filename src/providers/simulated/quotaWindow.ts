import { RateLimitError } from '../../model/errors.ts';
import type { QuotaSeen } from '../../model/ports.ts';

/** How many credits any `windowMs` milliseconds may hold. */
export interface SimulatedQuota {
  readonly credits: number;
  readonly windowMs: number;
}

/** A sliding window as a strict provider keeps it: `spend` throws when the credits of a call would not fit. */
export function quotaWindow(
  provider: string,
  { credits, windowMs }: SimulatedQuota,
  now: () => number,
): { spend(cost: number): QuotaSeen } {
  const spent: { readonly at: number; readonly cost: number }[] = [];

  return {
    spend(cost: number): QuotaSeen {
      const at = now();
      while (spent[0] !== undefined && spent[0].at <= at - windowMs) spent.shift();
      const used = spent.reduce((sum, call) => sum + call.cost, 0);
      if (used + cost > credits) {
        const message = `quota of ${credits} credits per ${windowMs} ms: ${used} used, ${cost} asked for`;
        const retryAfterMs = Math.max(0, (spent[0]?.at ?? at) + windowMs - at);
        throw new RateLimitError(provider, { message, retryAfterMs });
      }
      spent.push({ at, cost });
      return { used: used + cost, left: credits - used - cost };
    },
  };
}
