import { PipelineError } from '../../index.ts';

/** What went wrong, in one line for people: no stack, no cause. */
export function sentence(error: unknown): string {
  const { code, message } = PipelineError.from(error);
  const line = message.replaceAll(/\s+/g, ' ').trim();
  return code === 'internal' ? `unexpected error: ${line === '' ? 'no message' : line}` : line;
}
