import assert from 'node:assert/strict';
import { PipelineError, type ErrorCode } from '../../../src/model/errors.ts';

/** A bound on input: shows what lies at it, and what lies beyond. */
export interface InputBound {
  /** The number, and its unit as the table of docs/operations.md has it. */
  readonly bound: readonly [number, unit: string];
  readonly show: (bound: number) => void | Promise<void>;
}

/** By the first column of the table. */
export type InputBounds = Readonly<Record<string, InputBound>>;

export const mebibyte = 1_048_576;

export const many = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index));

/** Whether an error is one of the library's with this code. */
export const coded = (code: ErrorCode) => (error: unknown) => PipelineError.isInstance(error) && error.code === code;

/** A bound on something that is read at once: at the bound it is taken, and beyond it refused with the code. */
export function refused(bound: InputBound['bound'], code: ErrorCode, read: (size: number) => unknown): InputBound {
  return {
    bound,
    show: async (size) => {
      await read(size);
      await assert.rejects(async () => read(size + 1), coded(code));
    },
  };
}

/** A bound on a number, or a length, of the command line, a variable or an option. */
export const optionBound = (bound: InputBound['bound'], read: (size: number) => unknown): InputBound =>
  refused(bound, 'options_invalid', read);
