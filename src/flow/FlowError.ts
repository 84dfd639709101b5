/** Why the flow of items cannot go on: `flow_stalled`, `source_used_up`. */
export type FlowErrorCode = 'flow_stalled' | 'source_used_up';

const brand = Symbol.for('fintrack-pipelines/FlowError');

/**
 * A composition that cannot work, found while it runs.
 *
 * - `flow_stalled`: open groups or windows fill a `mergeMapBounded`, and their source waits for one of them to end.
 * - `source_used_up`: a one-shot iterator, such as a generator object, was subscribed to a second time.
 *
 * Test with `FlowError.isInstance(error)`, which also holds across two copies of the package.
 */
export class FlowError extends Error {
  override readonly name: string = 'FlowError';
  readonly code: FlowErrorCode;

  constructor(code: FlowErrorCode, message: string) {
    super(message);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether `error` is a FlowError of this or of another copy of the package. */
  static isInstance(error: unknown): error is FlowError {
    return typeof error === 'object' && error !== null && brand in error;
  }
}
