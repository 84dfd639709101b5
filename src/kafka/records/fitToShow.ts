import { PipelineError } from '../../model/errors.ts';

/** The error as others may see it. The text of one that is not ours may hold anything, such as a server's address and password. */
export function fitToShow(error: PipelineError): PipelineError {
  if (error.code !== 'internal' || error.cause === undefined) return error;
  return new PipelineError('internal', 'unexpected error', { cause: error.cause });
}
