import { inject, type ProvidedContext } from 'vitest';

/** Where a server of this run is; see globalSetup.ts. */
export function provided(name: keyof ProvidedContext): string {
  const value = inject(name) as string | undefined;
  if (value === undefined)
    throw new Error('A test that needs a server stands in the list needServers of vitest.config.ts');
  return value;
}
