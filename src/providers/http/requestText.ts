import { z } from 'zod';
import { callback, defineOptions } from '../../model/defineOptions.ts';
import { ProviderError } from '../../model/errors.ts';
import { hideSecrets } from './hideSecrets.ts';
import { networkError } from './networkError.ts';
import { readBody } from './readBody.ts';

/** How much is read of an answer that serves nothing: enough for its message. */
const maxErrorBytes = 16_384;

const defaultMaxBytes = 4 * 1024 * 1024;

export interface TextRequest {
  /** The provider's name: it stands first in every error. */
  readonly provider: string;
  readonly url: string;
  /** The place for a key; it is sent nowhere else. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Longest body in bytes, counted after decompression. Default: 4 MiB. */
  readonly maxResponseBytes?: number | undefined;
  /** Aborts the request. */
  readonly signal: AbortSignal;
  /** What sends the request. Default: the global `fetch` at the time of the call. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Called when status and headers are there, before the body is read. Default: nothing is called. */
  onHeaders?(headers: Headers): void;
}

const checkOptions = defineOptions<TextRequest>('requestText')({
  provider: z.string().min(1),
  url: z.string().min(1),
  // As a whole: no error shows a header, which may be the key.
  headers: z
    .custom<Record<string, string>>((value) => z.record(z.string(), z.string()).safeParse(value).success, {
      error: 'expected texts by the names of headers',
    })
    .optional(),
  maxResponseBytes: z.int().min(1).optional(),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }),
  fetch: callback<typeof globalThis.fetch>().optional(),
  onHeaders: callback<(headers: Headers) => void>().optional(),
});

/** An answer as text: whoever reads it still has its status when it turns out to be no JSON. */
export interface TextResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * One GET request. Resolves with any answer as text, whatever its status; rejects with the signal's reason when aborted, and
 * with a `ProviderError` when no whole answer came (`provider_unavailable`), when it is longer than `maxResponseBytes`
 * (`response_too_large`), or for a mistake in the `fetch` given (`internal`). Redirects are not followed, so that a key in a header goes to no other host;
 * an answer that repeats the key has `***` in its place.
 *
 * @example
 * ```ts
 * import { requestText } from 'fintrack-pipelines';
 *
 * const { signal } = new AbortController();
 * const fetch = async () => new Response('slow down', { status: 429 }); // leave it out to go to the network
 * const { status, body } = await requestText({ provider: 'example', url: 'https://prices.example.com', signal, fetch });
 * console.log(status, body);
 * // 429 slow down
 * ```
 */
export async function requestText(request: TextRequest): Promise<TextResponse> {
  checkOptions(request);
  const response = await failingAs(request, () => send(request));
  request.onHeaders?.(response.headers);
  const body = response.ok ? await readAnswer(response, request) : await readRefusal(response);
  request.signal.throwIfAborted();
  return { status: response.status, headers: response.headers, body: hideSecrets(body, request.headers) };
}

async function readAnswer(response: Response, request: TextRequest): Promise<string> {
  const { provider, maxResponseBytes = defaultMaxBytes } = request;
  const { text, complete } = await failingAs(request, () => readBody(response, maxResponseBytes));
  if (complete) return text;
  const message = `${provider}: HTTP ${response.status}: response longer than ${maxResponseBytes} bytes`;
  throw new ProviderError('response_too_large', message);
}

/** The status says enough: a refusal whose body breaks off is still that refusal. */
async function readRefusal(response: Response): Promise<string> {
  return readBody(response, maxErrorBytes).then(
    ({ text }) => text,
    () => '',
  );
}

async function send({ url, headers, signal, fetch = globalThis.fetch }: TextRequest): Promise<Response> {
  // A redirect is not followed: fetch would hand the key in our headers to the other host.
  const options: RequestInit = { headers: { accept: 'application/json', ...headers }, signal, redirect: 'manual' };
  const response: unknown = await fetch(url, options);
  if (isResponse(response)) return response;
  throw new TypeError(`expected a Response, got ${response === null ? 'null' : typeof response}`);
}

/** Of whatever package it is. */
function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && 'ok' in value && 'headers' in value;
}

async function failingAs<R>({ provider, headers, signal }: TextRequest, act: () => Promise<R>): Promise<R> {
  try {
    return await act();
  } catch (error) {
    signal.throwIfAborted();
    throw networkError(provider, error, headers);
  }
}
