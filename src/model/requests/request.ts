import { z } from 'zod';
import { RequestError, type PipelineError } from '../errors.ts';
import { digitsOf, isExactNumber, parseExactly, stringifyExactly, type ExactNumber } from './exactJson.ts';

export type PipelineName = 'market-data' | 'market-index-data' | 'historical-market-data';

/** The account a request came for, under the name it came in. */
export interface AccountEcho {
  readonly account_id?: string | undefined;
  readonly accountId?: string | undefined;
}

/** An entry of a request that cannot be served, and why; it becomes a failed entry of the completion event. */
export interface RefusedInput {
  readonly symbol: string;
  readonly assetType?: string | undefined;
  readonly error: PipelineError;
}

/** What every request has: what is asked for, what of it was refused, and whom to echo. */
export interface Request<I> {
  readonly pipeline: PipelineName;
  /** Each once, in the order asked for. */
  readonly inputs: readonly I[];
  readonly refused: readonly RefusedInput[];
  readonly account: AccountEcho;
  /** The client's own id of the request, if it gave one. */
  readonly requestId?: string | undefined;
}

/** How a message may come: as bytes or text from a wire, or as the value it stands for. */
export type RequestMessage = Uint8Array | string | object | null;

const echoed = z
  .union([z.string(), z.number().transform(String), z.custom<ExactNumber>(isExactNumber).transform(digitsOf)], {
    error: 'expected a string',
  })
  .pipe(z.string().max(200, { error: 'expected at most 200 characters' }))
  .nullish();

/** The fields every request may carry and its completion event echoes. */
export const echoFields = { account_id: echoed, accountId: echoed, requestId: echoed };

// No blank, comma or control character: a symbol travels in comma-separated lists.
const symbolForm = /^[^\s,\p{C}]{1,255}$/u;

/** A symbol as it may stand in a request. */
export const symbolSchema = z
  .string()
  .trim()
  .regex(symbolForm)
  .describe('1 to 255 characters without blanks, commas and control characters');

/** Most faults that the error of a message names. */
const maxFaultsNamed = 5;

/** Reads a message by its schema; a `RequestError` says what is wrong with it, and where. */
export function readMessage<Schema extends z.ZodType>(schema: Schema, message: RequestMessage): z.output<Schema> {
  const body = readBody(message);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { issues } = result.error;
  const named = issues
    .slice(0, maxFaultsNamed)
    .map((issue) => `${issue.path.join('.')}: ${issue.message}, got ${show(valueAt(body, issue.path))}`);
  const more = issues.length > named.length ? [`and ${issues.length - named.length} more`] : [];
  throw malformed([...named, ...more].join('; '));
}

/** Most entries of a message that may be none: the answer names each of them, and to refuse one takes its time. */
const maxRefused = 10_000;

/**
 * Reads the entries of a list one by one, so that a bad one is refused alone; each symbol and type comes once, among the inputs
 * or the refusals. Throws a `RequestError` when more than 10,000 are refused.
 */
export function readEntries<I extends { readonly symbol: string; readonly assetType?: string }>(
  entries: readonly unknown[],
  read: (entry: unknown) => I | RefusedInput,
): Pick<Request<I>, 'inputs' | 'refused'> {
  const inputs = new Map<string, I>();
  const refused = new Map<string, RefusedInput>();
  let refusals = 0;
  for (const entry of entries) {
    const each = read(entry);
    const name = `${each.assetType ?? ''} ${each.symbol}`;
    if (!('error' in each)) inputs.set(name, each);
    else if (++refusals <= maxRefused) refused.set(name, each);
    else throw malformed(`expected entries that are valid, got more than ${maxRefused} that are not`);
  }
  return { inputs: [...inputs.values()], refused: [...refused.values()] };
}

/** The echoed fields of a request that was read. */
export function readEcho(
  body: z.output<z.ZodObject<typeof echoFields>>,
): Pick<Request<never>, 'account' | 'requestId'> {
  const { account_id, accountId, requestId } = body;
  return {
    account: { ...(account_id == null ? {} : { account_id }), ...(accountId == null ? {} : { accountId }) },
    // An empty one is none: it would tell nobody which request an event is about.
    requestId: requestId === '' ? undefined : (requestId ?? undefined),
  };
}

/** A symbol as it may stand in a request, or its refusal. */
export function readSymbol(value: unknown): { readonly symbol: string } | RefusedInput {
  const result = symbolSchema.safeParse(value);
  if (result.success) return { symbol: result.data };
  const message = `symbol: expected ${symbolSchema.description ?? 'a symbol'}, got ${show(value)}`;
  return {
    symbol: typeof value === 'string' ? printable(value) : show(value),
    error: new RequestError('symbol_invalid', message),
  };
}

/** A value as an error message or an event may show it: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? JSON.stringify(printable(value)) : printable(jsonOf(value), 81);
  return text.length > 80 ? `${printable(text, 77)}...` : text;
}

function jsonOf(value: unknown): string {
  try {
    return stringifyExactly(value);
  } catch {
    // Nested deeper than the stack is: `JSON.parse` takes that.
    return Array.isArray(value) ? '[...]' : '{...}';
  }
}

function readBody(message: RequestMessage): object {
  const text = message instanceof Uint8Array ? readText(message) : message;
  const body = typeof text === 'string' ? readJson(text) : text;
  if (typeof body === 'object' && body !== null && !Array.isArray(body) && !isExactNumber(body)) return body;
  throw malformed(`expected a JSON object, got ${show(body)}`);
}

function readText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw malformed(`expected UTF-8, got ${String(bytes.length)} bytes that are not`, error);
  }
}

function readJson(text: string): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    throw malformed(`expected JSON, got ${show(text)}`, error);
  }
}

function malformed(reason: string, cause?: unknown): RequestError {
  return new RequestError('request_malformed', `request: ${reason}`, { cause });
}

function valueAt(body: object, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], body);
}

/** The beginning of a text, without what could end a line or color a terminal. */
export function printable(text: string, maxCharacters = 80): string {
  return text.slice(0, maxCharacters).replaceAll(/\p{C}/gu, '\u{FFFD}');
}
