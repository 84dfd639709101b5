import { z } from 'zod';
import { OptionsError } from './errors.ts';

/** One check per field of `Options`: a field missing on either side is a compile error. */
type Checks<Options> = { [Field in keyof Required<Options>]: z.ZodType };

type Resolved<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

/**
 * Binds the checks of an options object to its documented interface.
 *
 * The result resolves given options: it fills in the defaults, and throws an `OptionsError` that names `owner`, the
 * field, the value seen and what is expected. Unknown fields are refused, because a misspelled option would otherwise do
 * nothing.
 *
 * @example
 * ```ts
 * import { defineOptions, z } from 'fintrack-pipelines';
 *
 * interface PageOptions {
 *   pageSize?: number | undefined;
 * }
 * const resolveOptions = defineOptions<PageOptions>('pages')({ pageSize: z.int().min(1).default(1000) });
 *
 * console.log(resolveOptions({}));
 * // { pageSize: 1000 }
 * ```
 */
export function defineOptions<Options extends object>(owner: string) {
  return <const Shape extends Checks<Options>>(
    shape: Shape & Record<Exclude<keyof Shape, keyof Options>, never>,
  ): ((options: Options) => Resolved<Shape>) => {
    const schema = z.strictObject(shape);
    return (options) => {
      const result = schema.safeParse(options);
      if (result.success) return result.data as Resolved<Shape>;
      throw new OptionsError(`${owner}: ${result.error.issues.map((issue) => describe(issue, options)).join('; ')}`);
    };
  };
}

/** A check for an option that is one of our ports: an object with the methods named. */
export function port<Port extends object>(expected: string, ...methods: (keyof Port & string)[]): z.ZodType<Port> {
  return z.custom<Port>(
    (value) =>
      ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
    { error: `expected ${expected}` },
  );
}

/** A check for an option that is a function. */
export function callback<Callback extends (...args: never[]) => unknown>(): z.ZodType<Callback> {
  return z.custom<Callback>((value) => typeof value === 'function', { error: 'expected a function' });
}

const secretField = /key|password|secret|token|url|connection/i;

/** A text in the place of all options is mostly the one that matters: a key, or a URL. */
function mayBeSecret(field: string, value: unknown): boolean {
  if (secretField.test(field)) return value !== undefined;
  return typeof value === 'string' && (field === 'options' || /:\/\/.*@/s.test(value));
}

function describe(issue: z.core.$ZodIssue, options: object): string {
  const field = issue.path.map(String).join('.') || 'options';
  if (issue.code === 'unrecognized_keys') return `unknown option ${issue.keys.map((key) => `'${key}'`).join(', ')}`;
  const seen = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    options,
  );
  const shown = mayBeSecret(field, seen) ? 'a value that is not shown' : inspect(seen);
  return `${field}: ${expectation(issue.message)}, got ${shown}`;
}

/** What zod expected, without its own rendering of the value seen. */
function expectation(message: string): string {
  return message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
}

function inspect(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing';
    case 'string':
      return JSON.stringify(value.slice(0, 100));
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return String(value);
  }
}
