/**
 * The limiters that are measured: ours, and the public ones as their documentation says to use them. Each is a function
 * `run(task)` that starts a task of so many credits when it may; a task is given the credits it got.
 */
import Bottleneck from 'bottleneck';
import { creditLimiter } from 'fintrack-pipelines';
import { RateLimiter } from 'limiter';
import PQueue from 'p-queue';
import pThrottle from 'p-throttle';
import { RateLimiterMemory, RateLimiterQueue } from 'rate-limiter-flexible';

const maxConcurrent = 64;

export const ours = ({ credits, windowMs, weight, min = weight }) => {
  const limiter = creditLimiter({ credits, windowMs, maxConcurrent });
  const { signal } = new AbortController();
  return (task) => limiter.run({ credits: weight, min }, task, { signal });
};

export const others = {
  'bottleneck, reservoir': ({ credits, windowMs, weight }) => {
    const limiter = new Bottleneck({
      reservoir: credits,
      reservoirRefreshAmount: credits,
      reservoirRefreshInterval: windowMs,
      maxConcurrent,
    });
    return (task) => limiter.schedule({ weight }, () => task({ credits: weight }));
  },
  'bottleneck, minTime': ({ credits, windowMs, weight }) => {
    const limiter = new Bottleneck({ minTime: Math.ceil((windowMs * weight) / credits), maxConcurrent });
    return (task) => limiter.schedule(() => task({ credits: weight }));
  },
  'p-throttle': ({ credits, windowMs, weight }) => {
    const throttle = pThrottle({ limit: credits, interval: windowMs, weight: () => weight });
    const throttled = throttle((task) => task({ credits: weight }));
    return (task) => throttled(task);
  },
  'p-throttle, strict': ({ credits, windowMs, weight }) => {
    const throttle = pThrottle({ limit: credits, interval: windowMs, strict: true, weight: () => weight });
    const throttled = throttle((task) => task({ credits: weight }));
    return (task) => throttled(task);
  },
  'p-queue': ({ credits, windowMs, weight }) => {
    const queue = new PQueue({ intervalCap: Math.floor(credits / weight), interval: windowMs });
    return (task) => queue.add(() => task({ credits: weight }));
  },
  'p-queue, strict': ({ credits, windowMs, weight }) => {
    const queue = new PQueue({ intervalCap: Math.floor(credits / weight), interval: windowMs, strict: true });
    return (task) => queue.add(() => task({ credits: weight }));
  },
  'limiter (token bucket)': ({ credits, windowMs, weight }) => {
    const bucket = new RateLimiter({ tokensPerInterval: credits, interval: windowMs });
    let last = Promise.resolve();
    return async (task) => {
      last = last.then(() => bucket.removeTokens(weight));
      await last;
      return task({ credits: weight });
    };
  },
  'rate-limiter-flexible': ({ credits, windowMs, weight }) => {
    const queue = new RateLimiterQueue(new RateLimiterMemory({ points: credits, duration: windowMs / 1_000 }));
    return async (task) => {
      await queue.removeTokens(weight);
      return task({ credits: weight });
    };
  },
};
