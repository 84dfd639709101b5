import { keyOf } from '../../../../model/assignment.ts';
import { eachBroker, type Cluster } from '../eachBroker.ts';
import { decodeFetch, type FetchContext, type FetchResponse } from './decodeFetch.ts';

/** What is asked of a broker, and what its answer is read with (kafkajs 2.2.4, to which this package is pinned: broker/index.js). */
interface Exchange {
  readonly request: { readonly apiVersion: number };
  readonly response: { decode(raw: Buffer): Promise<FetchResponse> };
}

interface FetchOptions {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string }[];
  }[];
}

interface FetchingBroker {
  fetch(options: FetchOptions): Promise<unknown>;
  /** A function that needs no broker. */
  lookupRequest: (apiKey: number, definitions: unknown) => (options: FetchOptions) => Exchange;
}

/** From here on an answer tells of transactions; kafkajs speaks the version up to 11. */
const firstVersion = 4;

/** Told before a fetch begins; the function returned takes what cannot be decoded in its answer. */
export type OnFetch = () => FetchContext['onUndecodable'];

/** Has the answers to the fetches of a consumer decoded by `decodeFetch`. */
export function readFetches(cluster: Cluster, onFetch: OnFetch): void {
  eachBroker(cluster, (broker) => {
    decodeFetchesOf(broker as unknown as FetchingBroker, onFetch);
  });
}

function decodeFetchesOf(broker: FetchingBroker, onFetch: OnFetch): void {
  const fetch = broker.fetch.bind(broker);
  broker.fetch = (options) => {
    const { lookupRequest } = broker;
    const onUndecodable = onFetch();
    // It looks its request up before it waits for anything.
    broker.lookupRequest = (apiKey, definitions) => {
      const exchange = lookupRequest(apiKey, definitions);
      return (asked) => withOurDecoder(exchange(asked), options, onUndecodable);
    };
    try {
      return fetch(options);
    } finally {
      broker.lookupRequest = lookupRequest;
    }
  };
}

function withOurDecoder(
  exchange: Exchange,
  { topics }: FetchOptions,
  onUndecodable: FetchContext['onUndecodable'],
): Exchange {
  const { apiVersion: version } = exchange.request;
  if (version < firstVersion) return exchange;
  const { response } = exchange;
  const offsets = new Map(
    topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, fetchOffset }) => [keyOf({ topic, partition }), BigInt(fetchOffset)] as const),
    ),
  );
  const context: FetchContext = {
    version,
    fetchedFrom: (topic, partition) => offsets.get(keyOf({ topic, partition })) ?? 0n,
    decodeOld: (raw) => response.decode(raw),
    onUndecodable,
  };
  return { ...exchange, response: { ...response, decode: (raw) => decodeFetch(raw, context) } };
}
