import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../src/model/errors.ts';
import { asked } from './support/asked.ts';
import { fixture } from './support/loopbackServer.ts';

describe('an answer that is cut off, wherever', () => {
  it.each(Object.entries(asked))('rejects a call of %s as malformed and worth another try', async (_, given) => {
    const { body } = fixture(given.folder, given.name);
    const whole = typeof body === 'string' ? body : JSON.stringify(body);
    const answers = await given.ask(async () => new Response(whole));
    expect(answers.some((answer) => PipelineError.isInstance(answer))).toBe(false);
    for (let length = 0; length < whole.length; length += 1) {
      const error = await given
        .ask(async () => new Response(whole.slice(0, length)))
        .catch((reason: unknown) => reason);
      expect(error, whole.slice(0, length)).toMatchObject({ code: 'response_malformed', retryable: true });
    }
  });
});
