import assert from 'node:assert/strict';
import type { QuotaStoreUnderTest } from './quotaStoreContract.ts';

export interface QuotaStoreCase {
  readonly name: string;
  readonly check: (opened: QuotaStoreUnderTest) => Promise<void>;
}

const day = '2026-11-24';

export function quotaStoreCases(): readonly QuotaStoreCase[] {
  return [
    {
      name: 'books up to the limit, and no further',
      check: async ({ store }) => {
        assert.equal(await store.book(day, 20, 50), 20);
        assert.equal(await store.book(day, 20, 50), 20);
        assert.equal(await store.book(day, 20, 50), 10);
        assert.equal(await store.book(day, 20, 50), 0);
        assert.equal(await store.book(day, 1, 50), 0);
      },
    },
    {
      name: 'books the part of the first wish that the limit allows',
      check: async ({ store }) => {
        assert.equal(await store.book(day, 20, 8), 8);
        assert.equal(await store.book('2026-11-25', 20, 0), 0);
      },
    },
    {
      name: 'books nothing, and takes nothing away, when the limit has come down below what is used',
      check: async ({ store }) => {
        assert.equal(await store.book(day, 50, 50), 50);
        assert.equal(await store.book(day, 10, 30), 0);
        assert.equal(await store.book(day, 20, 60), 10);
      },
    },
    {
      name: 'counts each period by itself',
      check: async ({ store }) => {
        for (const period of [day, '2026-11-25', '2026-11', '2027-11']) {
          assert.equal(await store.book(period, 8, 8), 8, period);
        }
        assert.equal(await store.book('2026-11', 1, 8), 0);
      },
    },
    {
      name: 'books again what was given back',
      check: async ({ store }) => {
        assert.equal(await store.book(day, 20, 20), 20);
        await store.giveBack(day, 5);
        await store.giveBack(day, 2);
        assert.equal(await store.book(day, 20, 20), 7);
      },
    },
    {
      name: 'never lets more be booked than the limit, whatever is given back',
      check: async ({ store }) => {
        await store.giveBack(day, 1000);
        assert.equal(await store.book(day, 30, 20), 20);
        await store.giveBack(day, 1000);
        assert.equal(await store.book(day, 30, 20), 20);
        await store.giveBack('2026-11-25', 7);
        assert.equal(await store.book('2026-11-25', 30, 20), 20);
      },
    },
    {
      name: 'never goes beyond the limit when many book at once',
      check: async ({ store }) => {
        const booked = await Promise.all(Array.from({ length: 50 }, () => store.book(day, 3, 100)));
        assert.equal(total(booked), 100);
      },
    },
    {
      name: 'remembers what was booked and given back, without being closed',
      check: async (opened) => {
        const { store } = opened;
        assert.equal(await store.book(day, 50, 80), 50);
        await store.giveBack(day, 10);
        const again = await opened.reopen();
        assert.equal(await again.book(day, 100, 80), 40);
        assert.equal(await (await opened.reopen()).book(day, 1, 80), 0);
      },
    },
    {
      name: 'uses nearly all of a quota through 60 crashes, and never more',
      check: async (opened) => {
        const [block, limit] = [20, 800];
        const booked: number[] = [];
        for (let crash = 0; crash < 60; crash += 1) booked.push(await (await opened.reopen()).book(day, block, limit));
        assert.equal(total(booked), limit);
      },
    },
  ];
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
