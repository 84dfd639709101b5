import { createHash } from 'node:crypto';
import { z } from 'zod';

/** The check of a `provider` option. PostgreSQL's text holds everything but the character 0. */
export const providerSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => !name.includes('\0'), 'expected a name without the character 0');

/** The check of an `apiKey` option: it is never stored, and may be any text. */
export const apiKeySchema = z.string().min(1);

/** 64 bits tell the keys of a deployment apart, and say nothing of a key that is long and random. */
const digestLength = 16;

/** What the tables know of an API key: its provider, and the beginning of its SHA-256 digest. */
export function quotaKey(provider: string, apiKey: string): string {
  return `${provider}:${createHash('sha256').update(apiKey).digest('hex').slice(0, digestLength)}`;
}
