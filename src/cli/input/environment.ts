import { join } from 'node:path';
import { z } from 'zod';
import { OptionsError } from '../../index.ts';
import { readEnvFile } from './envFile.ts';

/** The variables that are set; an empty one counts as not set, because compose files pass those. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment over the `.env` file of the folder, if there is one. */
export function readEnvironment(env: Environment, folder: string): Environment {
  const merged = { ...readEnvFile(join(folder, '.env')), ...withoutEmpty(env) };
  return withoutEmpty(merged);
}

function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(
    Object.entries(env)
      // What a file on Windows, or one with a secret, leaves behind a value.
      .map(([name, value]) => [name, value?.replace(/[\r\n]+$/, '')] as const)
      .filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
}

/** The variables of a schema, checked. Throws an `OptionsError` that says which one is wrong or missing. */
export function readVariables<Schema extends z.ZodObject>(schema: Schema, environment: Environment): z.output<Schema> {
  const result = schema.safeParse(environment);
  if (result.success) return result.data;
  throw new OptionsError(result.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; '));
}

/** A variable that holds text: `advice` says what to do when it is missing. */
export function requiredText(advice: string): z.ZodString {
  return z.string({ error: `is not set: ${advice}` });
}

interface NumberRange<Default extends number | 'none' = number> {
  readonly min: number;
  readonly max: number;
  readonly byDefault: Default;
}

/** A variable that holds a whole number. It is shown when it is wrong: these variables hold no secret. */
export function wholeNumber(range: NumberRange): z.ZodType<number> {
  return z
    .string()
    .default(String(range.byDefault))
    .transform((text, context) => readNumber(text, range) ?? refuse(context, text, expectation(range)));
}

/** The same, where the word `none` stands for no bound. */
export function wholeNumberOrNone(range: NumberRange<number | 'none'>): z.ZodType<number> {
  return z
    .string()
    .default(String(range.byDefault))
    .transform((text, context) => {
      if (text.trim() === 'none') return Infinity;
      return readNumber(text, range) ?? refuse(context, text, `${expectation(range)}, or none`);
    });
}

function readNumber(text: string, { min, max }: Pick<NumberRange, 'min' | 'max'>): number | undefined {
  const number = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : undefined;
}

function expectation({ min, max }: Pick<NumberRange, 'min' | 'max'>): string {
  return `a whole number from ${min} to ${max}`;
}

function refuse(context: z.RefinementCtx, text: string, expected: string): never {
  context.addIssue(`must be ${expected}, but is ${JSON.stringify(text.slice(0, 40))}`);
  return z.NEVER;
}
