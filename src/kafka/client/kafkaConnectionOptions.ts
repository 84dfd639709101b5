import { isIPv6 } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { z } from 'zod';
import { callback } from '../../model/defineOptions.ts';
import type { KafkaLog } from './kafkaLog.ts';

/** How to prove to the brokers who we are. */
export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /** Called for every connection, and again before a token has run out. */
      readonly token: () => Promise<string>;
    };

/** How to reach Kafka, for sources and sinks alike. */
export interface KafkaConnectionOptions {
  /** Addresses to begin with, as `host:port`, IPv6 in brackets: `[::1]:9092`; the others are learned from them. */
  brokers: readonly string[];
  /** What the brokers call this client in their logs. Default: 'fintrack-pipelines'. */
  clientId?: string | undefined;
  /** TLS: `true`, or the settings of `tls.connect`. Default: false. */
  ssl?: boolean | ConnectionOptions | undefined;
  /** Default: none. */
  sasl?: KafkaSasl | undefined;
  /** Time limit of a connection attempt, in milliseconds. Default: 3,000. */
  connectionTimeoutMs?: number | undefined;
  /** Time limit of a request to a broker, in milliseconds. Default: 30,000. */
  requestTimeoutMs?: number | undefined;
  /** Called with what the client has to say. Nothing is printed. Default: nothing. */
  onLog?: ((entry: KafkaLog) => void) | undefined;
}

const sasl = z.discriminatedUnion('mechanism', [
  z.strictObject({
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
    username: z.string().min(1),
    password: z.string().min(1),
  }),
  z.strictObject({ mechanism: z.literal('oauthbearer'), token: callback<() => Promise<string>>() }),
]);

function isAddresses(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isAddress);
}

function isAddress(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const [, bracketed, port] = /^(?:\[([^[\]]+)\]|[^\s/@:[\]]+):(\d{1,5})$/.exec(value) ?? [];
  return Number(port) >= 1 && Number(port) <= 65_535 && (bracketed === undefined || isIPv6(bracketed));
}

/** The checks of a connection; each factory binds them to its own options. */
export const connectionChecks = {
  // Checked as a whole, so that no error shows an address: somebody may have put a password into it.
  brokers: z.custom<readonly string[]>(isAddresses, { error: 'expected addresses as host:port, IPv6 in brackets' }),
  clientId: z.string().min(1).max(200).default('fintrack-pipelines'),
  ssl: z
    .union([z.boolean(), z.custom<ConnectionOptions>((value) => typeof value === 'object' && value !== null)], {
      error: 'expected a boolean or the settings of tls.connect',
    })
    .default(false),
  sasl: sasl.optional(),
  connectionTimeoutMs: z.int().min(1).max(600_000).default(3_000),
  requestTimeoutMs: z.int().min(100).max(600_000).default(30_000),
  onLog: callback<(entry: KafkaLog) => void>().optional(),
};

/** Connection options with their defaults. */
export type Connection = z.output<z.ZodObject<typeof connectionChecks>>;
