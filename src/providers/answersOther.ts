import { ProviderError } from '../model/errors.ts';

/** The error of a symbol for which the answer names something else than what was asked for. It would do so again. */
export function answersOther(subject: string, asked: string, named: unknown): ProviderError {
  return new ProviderError('symbol_mismatch', `${subject}: asked for ${asked}, the answer is about ${shown(named)}`);
}

/** The error of a symbol whose answer does not say what it is about, where the provider's answers do. */
export function namesNothing(subject: string, expected: string): ProviderError {
  return new ProviderError('response_malformed', `${subject}: the answer does not name its ${expected}`);
}

function shown(named: unknown): string {
  const text = typeof named === 'string' ? named : JSON.stringify(named ?? null);
  return text.replace(/[\s\p{Cc}]+/gu, ' ').slice(0, 60);
}
