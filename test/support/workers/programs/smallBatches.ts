/**
 * A worker as somebody may put it together: `fintrack-pipelines work` for batches of any size. It takes the same environment, and
 * BATCH_SIZE, SPLIT_ABOVE and PROGRESS_DEADLINE_MS. It dies as soon as it is to fetch the symbol POISON.
 */
import { Subject } from 'rxjs';
import {
  answerByPipeline,
  creditLimiter,
  historicalMarketData,
  limited,
  marketData,
  marketIndexData,
  twelveDataMonthly,
  twelveDataQuotes,
  yahooRapidApiIndexes,
  type Provider,
  type RunEvent,
} from 'fintrack-pipelines';
import {
  fromRequests,
  historicalMarketDataTopic,
  kafkaSink,
  kafkaSource,
  marketDataTopic,
  marketIndexDataTopic,
  type WorkerEvent,
} from 'fintrack-pipelines/kafka';
import {
  connectDatabase,
  marketDataSink,
  marketIndexSink,
  monthlyPriceSink,
  patientSink,
  postgresWindow,
} from 'fintrack-pipelines/postgres';

const text = (name: string): string => process.env[name] ?? '';
const number = (name: string, byDefault: number): number => Number(process.env[name] ?? byDefault);

const database = connectDatabase({ url: text('DATABASE_URL'), applicationName: 'small-batches' });
const apiKey = text('TWELVE_DATA_API_KEY');
const baseUrl = text('TWELVE_DATA_API_HOST');
const credits = number('TWELVE_DATA_CREDITS_PER_MINUTE', 8);
const windowMs = number('TWELVE_DATA_WINDOW_MS', 60_000);
const window = postgresWindow({ database, provider: 'twelve-data', apiKey, credits, windowMs });
const limiter = creditLimiter({ credits, windowMs, window, callTimeoutMs: 10_000 });

/** As the kernel ends a process for want of memory. */
function mortal<I extends { readonly symbol: string }, T>(provider: Provider<I, T>): Provider<I, T> {
  return {
    ...provider,
    fetch: (inputs, call) => {
      if (inputs.some(({ symbol }) => symbol === 'POISON')) process.kill(process.pid, 'SIGKILL');
      return provider.fetch(inputs, call);
    },
  };
}

const batchSize = text('BATCH_SIZE') === '' ? undefined : number('BATCH_SIZE', 100);
const events = new Subject<RunEvent>();
const requestConcurrency = 32;
const quotes = {
  fetcher: limited(mortal(twelveDataQuotes({ apiKey, baseUrl })), limiter),
  sink: patientSink({ sink: marketDataSink({ database }) }),
  events,
  requestConcurrency,
};
const months = {
  fetcher: limited(twelveDataMonthly({ apiKey, baseUrl }), limiter),
  sink: patientSink({ sink: monthlyPriceSink({ database }) }),
  events,
  requestConcurrency,
};
const indexes = {
  fetcher: limited(
    yahooRapidApiIndexes({ apiKey, host: new URL(baseUrl).host, baseUrl }),
    creditLimiter({ credits: Infinity }),
  ),
  sink: patientSink({ sink: marketIndexSink({ database }) }),
  events,
  requestConcurrency,
};
const topics = [
  marketDataTopic({ ledger: quotes.sink.ledger, batchSize }),
  marketIndexDataTopic({ ledger: indexes.sink.ledger, batchSize }),
  historicalMarketDataTopic({ ledger: months.sink.ledger, batchSize }),
];

const connection = { brokers: [text('KAFKA_BROKER')], clientId: 'small-batches' };
const sessionTimeoutMs = number('KAFKA_CONSUMER_SESSION_TIMEOUT_MS', 30_000);
const groupId = text('KAFKA_CONSUMER_GROUP_ID');
const source = kafkaSource({
  ...connection,
  groupId,
  topics: topics.flatMap(({ topic, workTopic }) => [topic, workTopic ?? topic]),
  sessionTimeoutMs,
  rebalanceTimeoutMs: sessionTimeoutMs,
  maxWaitMs: 100,
});
const sink = kafkaSink(connection);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

fromRequests({
  source,
  sink,
  groupId,
  topics,
  progress: events,
  stop: stop.signal,
  splitAbove: number('SPLIT_ABOVE', 20),
  progressDeadlineMs: number('PROGRESS_DEADLINE_MS', 120_000),
  events: {
    next: (event: WorkerEvent) =>
      console.log(
        JSON.stringify(event, (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value instanceof Error ? value.message : value,
        ),
      ),
  },
})
  .pipe(
    answerByPipeline({
      'market-data': { requests: marketData(quotes) },
      'market-index-data': { requests: marketIndexData(indexes) },
      'historical-market-data': { requests: historicalMarketData(months) },
    }),
  )
  .subscribe({
    complete: () => void end(0),
    error: (error: unknown) => {
      console.error(error);
      void end(1);
    },
  });

async function end(code: number): Promise<void> {
  await sink.close();
  await limiter.stop();
  await database.close();
  process.exit(code);
}
