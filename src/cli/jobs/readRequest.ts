import type { Database } from '../../postgres/index.ts';
import type { Invocation } from '../command.ts';
import { readSymbols } from '../input/readSymbols.ts';
import type { RunOptions } from '../input/runOptions.ts';
import type { PreparedRequest } from './jobs.ts';

/** Reads the symbols of a request and checks it. Throws a `RequestError` when it is none. */
export async function readRequest(
  command: string,
  { job, openJob, symbols, range, requestId }: RunOptions,
  place: Pick<Invocation, 'cwd' | 'signal'> & { readonly database: Database | undefined },
): Promise<PreparedRequest> {
  const { message, refused } = await readSymbols(symbols, job.name, { ...place, command });
  return openJob.prepare({ ...message, ...range, requestId }, refused);
}
