import type { defineOptions } from '../../src/model/defineOptions.ts';

/** The names of the options of each function that was called or loaded, by the name it has in messages. */
export const optionNames = new Map<string, Set<string>>();

/** `defineOptions` itself, which notes besides what is defined. */
export function noting(define: typeof defineOptions): typeof defineOptions {
  const noted = (owner: string) => {
    const bind = define(owner);
    return (shape: object) => {
      optionNames.set(owner, new Set([...(optionNames.get(owner) ?? []), ...Object.keys(shape)]));
      return bind(shape as never);
    };
  };
  return noted as unknown as typeof defineOptions;
}
