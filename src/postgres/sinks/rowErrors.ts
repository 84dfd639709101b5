/** Data and integrity errors, an exception of a trigger, a check option: what a row does, and not the table or the server. */
const rowCodes = /^(?:22|23|44)...$|^P0001$/;

/** Whether the server refused a row; the error is the driver's, or a `SinkError` made of it. */
export function isRowError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  return (typeof code === 'string' && rowCodes.test(code)) || isRowError(cause);
}
