import { creditLimiter, limited, marketData, simulatedQuotes } from '../../../src/index.ts';
import { fromRequests, kafkaSink, kafkaSource, marketDataTopic } from '../../../src/kafka/index.ts';
import { connectDatabase, marketDataSink } from '../../../src/postgres/index.ts';

/** To be bundled: answers requests until it is told to end. */
const { BROKER = '', DATABASE = '', SCHEMA = '', OWN_SCHEMA = '', TOPIC = '', ANSWERS = '' } = process.env;
const brokers = [BROKER];
const database = connectDatabase({ url: DATABASE, schema: SCHEMA, ownSchema: OWN_SCHEMA });
const prices = marketDataSink({ database });
const topic = marketDataTopic({ topic: TOPIC, completionTopic: ANSWERS, workTopic: null, ledger: prices.ledger });
const source = kafkaSource({ brokers, groupId: TOPIC, topics: [TOPIC] });
const fetcher = limited(simulatedQuotes(), creditLimiter({ credits: 8 }));
fromRequests({ source, sink: kafkaSink({ brokers }), groupId: TOPIC, topics: [topic] })
  .pipe(marketData({ fetcher, sink: prices }))
  .subscribe(({ requestId, status }) => process.stdout.write(`${requestId} ${status}\n`));
