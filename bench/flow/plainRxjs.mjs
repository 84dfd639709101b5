import { bufferCount, filter, from, lastValueFrom, map, mergeMap, reduce } from 'rxjs';
import { batchSize, concurrency, isWanted, numbers, store, toAsset } from './work.mjs';

export const plainRxjs = (count) =>
  lastValueFrom(
    from(numbers(count)).pipe(
      map(toAsset),
      filter(isWanted),
      bufferCount(batchSize),
      mergeMap(store, concurrency),
      reduce((delivered, size) => delivered + size, 0),
    ),
  );
