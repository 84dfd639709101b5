import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { callback, defineOptions, port } from '../../src/model/defineOptions.ts';
import { OptionsError } from '../../src/model/errors.ts';

interface CallOptions {
  apiKey: string;
  timeoutMs?: number | undefined;
  publisher?: { publish(event: string): void } | undefined;
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<CallOptions>('call')({
  apiKey: z.string().min(1),
  timeoutMs: z.number().min(0).default(10_000),
  publisher: port<{ publish(event: string): void }>('a publisher', 'publish').optional(),
  now: callback<() => number>().optional(),
});

describe('defineOptions', () => {
  it('fills in the defaults', () => {
    expect(resolveOptions({ apiKey: 'k' })).toEqual({ apiKey: 'k', timeoutMs: 10_000 });
  });

  it('names the owner, the field and the value seen', () => {
    expect(() => resolveOptions({ apiKey: 'k', timeoutMs: -1 })).toThrow(
      new OptionsError('call: timeoutMs: Too small: expected number to be >=0, got -1'),
    );
  });

  it('refuses an option it does not know, because it would do nothing', () => {
    const misspelled = { apiKey: 'k', timeOutMs: 5 };
    expect(() => resolveOptions(misspelled)).toThrow("call: unknown option 'timeOutMs'");
  });

  it('never shows the value of a secret', () => {
    const canary = { secret: 'canary-1234' };
    const wrong: unknown = { apiKey: [canary] };
    expect(() => resolveOptions(wrong as CallOptions)).toThrow(/apiKey: .*, got a value that is not shown$/);
    expect(() => resolveOptions(wrong as CallOptions)).not.toThrow(/canary/);
  });

  // Issue 10, 19: seen with a URL in the place of a database, and with a key in the place of the options.
  it.each(['canary-1234', ['canary-1234']])('never shows a text in the place of all options', (wrong: unknown) => {
    expect(() => resolveOptions(wrong as CallOptions)).toThrow('call: options: expected object, got ');
    expect(() => resolveOptions(wrong as CallOptions)).not.toThrow(/canary/);
  });

  it('never shows a URL with a password, wherever it stands', () => {
    const wrong: unknown = { apiKey: 'k', timeoutMs: 'postgres://user:cana/ry@host/name' };
    expect(() => resolveOptions(wrong as CallOptions)).toThrow(
      'timeoutMs: expected number, got a value that is not shown',
    );
    const plain: unknown = { apiKey: 'k', timeoutMs: 'http://127.0.0.1:8080' };
    expect(() => resolveOptions(plain as CallOptions)).toThrow(
      'timeoutMs: expected number, got "http://127.0.0.1:8080"',
    );
  });

  it('names every field that is wrong at once', () => {
    const wrong: unknown = { timeoutMs: 'soon' };
    expect(() => resolveOptions(wrong as CallOptions)).toThrow(
      'call: apiKey: expected string, got nothing; timeoutMs: expected number, got "soon"',
    );
  });

  it('takes a port by its methods, on an object or a class instance, and a function for a callback', () => {
    class Bus {
      publish(): void {
        return;
      }
    }
    const bus = new Bus();
    const now = () => 1;
    expect(resolveOptions({ apiKey: 'k', publisher: bus, now })).toMatchObject({ publisher: bus, now });
    const wrong: unknown = { apiKey: 'k', publisher: { send: now }, now: 7 };
    expect(() => resolveOptions(wrong as CallOptions)).toThrow(
      'call: publisher: expected a publisher, got an object; now: expected a function, got 7',
    );
  });
});
