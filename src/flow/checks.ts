/** `value` if it is an integer of at least `least`; otherwise an error that names owner, field and the value seen. */
export function checkCount(owner: string, field: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  const message = `${owner}: ${field}: expected an integer of at least ${String(least)}, got ${inspect(value)}`;
  throw typeof value === 'number' ? new RangeError(message) : new TypeError(message);
}

/** `value` if it is a function; otherwise an error that names owner, field and the value seen. */
export function checkFunction<Callback>(owner: string, field: string, value: Callback): Callback {
  if (typeof value === 'function') return value;
  throw new TypeError(`${owner}: ${field}: expected a function, got ${inspect(value)}`);
}

/** `value` if it is an object with no other fields than `fields`: a misspelled option would otherwise do nothing. */
export function checkOptions<Options>(owner: string, value: Options, fields: readonly (keyof Options)[]): Options {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(`${owner}: options: expected an object, got ${inspect(value)}`);
  }
  const unknown = Object.keys(value).filter((field) => !(fields as readonly string[]).includes(field));
  if (unknown.length === 0) return value;
  throw new TypeError(`${owner}: unknown option ${unknown.map((field) => `'${field}'`).join(', ')}`);
}

/** A short text of `value` for an error message. */
export function inspect(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100));
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}
