import { expect, it, vi } from 'vitest';
import { RetryBudget } from '../../../src/limits/fetching/retryBudget.ts';

const taken = (budget: RetryBudget, tries: number): number =>
  Array.from({ length: tries }, () => budget.take()).filter(Boolean).length;

it('allows 5 retries a minute, and a share of the requests', async () => {
  vi.useFakeTimers();
  const budget = new RetryBudget(0.2);
  expect(taken(budget, 10)).toBe(5);
  for (let request = 0; request < 100; request += 1) budget.countRequest();
  expect(taken(budget, 100)).toBe(20);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(taken(budget, 100)).toBe(5);
});

it('allows 5 a minute where no share is', () => {
  const budget = new RetryBudget(0);
  for (let request = 0; request < 100; request += 1) budget.countRequest();
  expect(taken(budget, 100)).toBe(5);
});
